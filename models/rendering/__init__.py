"""Renders General MIDI songs into stems with fluidsynth, as additional training data.

In: MIDI files and soundfonts. Out: waveforms [C, T] of drums, bass and other, and track folders to write them to.
"""
