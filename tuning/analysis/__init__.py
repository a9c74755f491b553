"""What a search found: results with intervals, the Pareto front, effects, plots and a summary in words.

In: a folder of trials. Out: csv, plots, text.
"""
