"""Music for training: decoded packs on disk, and random mixtures of their stems.

In: folders of tracks (`models.tracks`), and `DataConfig`. Out: the batch of any step, on the device.
"""
