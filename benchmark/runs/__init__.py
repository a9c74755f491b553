"""A run: every system on every track, in processes or on Ray; a result's key names everything that it depends on.

In: systems, tracks and settings. Out: a folder of results, which a second run reuses.
"""
