"""Ensembles: several separators as one, weighted stem by stem.

In: checkpoints, or an ensemble's .yaml. Out: a separator; and the weights that are best on validation tracks.
"""
