"""Speed benchmarks: of the systems, and of the scorers.

In: systems, lengths, threads. Out: tables of medians.
"""
