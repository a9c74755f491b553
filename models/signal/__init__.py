"""Waveforms of any length: resampling between any two rates, and overlap-add of processed chunks.

In: waveforms [C, T] or blocks of them. Out: the same at another rate, or processed by a function of short chunks.
"""
