"""The results of a search: tables with intervals, the Pareto front, effects, plots and a written summary.

In: a folder of trials. Out: csv, plots, text.
"""
