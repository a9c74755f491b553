"""Trials: their order, and their training in this process or on Ray; interrupted trials are resumed.

In: a plan. Out: a folder for each trial with its outcome and weights.
"""
