"""Waveforms of any length: resampling between any two rates, and chunks that are added up again.

In: waveforms [C, T] or blocks of them. Out: the same at another rate, or what a function made of its chunks.
"""
