"""The benchmark: several systems separate the same tracks, and the same scorer scores them.

In: systems and a data set. Out: a folder of results, tables and a report. Command: `python -m benchmark`.
"""
