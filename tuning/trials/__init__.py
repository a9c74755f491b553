"""Trials: one training each, in an order, in this process or on Ray, resumed where they stopped.

In: a plan. Out: a folder for each trial with its outcome and weights.
"""
