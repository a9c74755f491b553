"""Corruption: copies of data sets whose stems are mislabelled or bleed, as those of the challenge's boards A and B.

In: the training tracks of data folders, a kind, a share and a seed. Out: track folders, and `truth.csv`, which says of
every stem what was done to it; validation and test tracks are links to the originals.
"""
