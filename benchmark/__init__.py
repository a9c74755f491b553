"""The benchmark: several systems separate the same tracks and are scored by the same scorer.

`python -m benchmark run` is its command. `systems` lists the systems, `runs` separates and scores, `tables` and `page`
show the results.
"""
