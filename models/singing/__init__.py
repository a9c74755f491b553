"""Sings melodies with the recorded syllables of UTAU voice banks, as additional training data.

In: voice banks and MIDI melodies. Out: waveforms [2, T] of sung lines.
"""
