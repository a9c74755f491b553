"""Degradations of mixtures, as music meets them on its way: codecs, clipping, loudness, level, mono, rate and noise.

In: a name such as `mp3:128k`, and a track. Out: the track with a degraded mixture and its clean stems.
"""
