"""The benchmark: several systems separate the same tracks, and one scorer scores them all.

In: systems and a data set. Out: a folder of results, tables and a report. Command: `python -m benchmark`.
"""
