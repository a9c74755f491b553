"""Separators: run a trained network on a mixture of any length and rate, mono or stereo.

In: a checkpoint and a mixture [C, T]. Out: {stem: [C, T]}.
"""
