"""Ensembles: the weighted mean of several separators, with weights for each stem.

In: checkpoints, or an ensemble's .yaml. Out: a separator, and the weights with the best SDR on validation tracks.
"""
