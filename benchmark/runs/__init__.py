"""A run: every system on every track, in processes or on Ray, each result stored under a key of all that made it.

In: systems, tracks and settings. Out: a folder of results, which a second run reuses.
"""
