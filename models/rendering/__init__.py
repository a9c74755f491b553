"""Renders General MIDI songs into stems with fluidsynth: more music for training.

In: MIDI files and soundfonts. Out: waveforms [C, T] of drums, bass and other.
"""
