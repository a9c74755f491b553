"""Separators in another Python environment: Spleeter needs TensorFlow, which does not fit our packages.

In: a mixture [C, T]. Out: stems [C, T], sent through pipes by a worker process.
"""
