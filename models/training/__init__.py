"""Trains any network that maps mixtures to stems: the loop, its step and its clock, the loss and the optimiser.

In: a preset and folders of tracks. Out: a run's folder with checkpoints and the state to resume from. `data` makes the
batches, `record` writes the folder.
"""
