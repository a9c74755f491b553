"""Separators in a Python environment of their own: Spleeter's TensorFlow beside our torch.

In: a mixture [T, C]. Out: stems [T, C], sent through pipes by a process that is watched.
"""
