"""The benchmarks of speed: the systems' and the scorer's.

In: systems, lengths, threads. Out: tables of medians.
"""
