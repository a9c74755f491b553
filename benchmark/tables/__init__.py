"""Results as tables: means, bootstrap intervals, paired tests, csv and markdown, and the published figures.

In: a folder of results. Out: csv files, tables.
"""
