"""Separators: a trained network made into one that takes a mixture of any length, rate and number of channels.

In: a checkpoint and a mixture [C, T]. Out: {stem: [C, T]}.
"""
