"""The benchmark: several systems separate the same tracks and are scored by the same scorer.

`python -m benchmark run` is its command line; `systems` says what can be compared, `run` separates and scores, `report`
makes the tables.
"""
