"""Training: packs of decoded audio, random mixtures, the loss, the steps, validation and resuming.

In: a preset and a pack. Out: a run's folder with checkpoints, metrics and the state to go on from.
"""
