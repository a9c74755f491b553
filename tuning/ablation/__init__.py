"""Ablations: one change at a time from the same start (the .yaml files here), with seeds and intervals.

In: a file of rows. Out: trained rows, and a markdown table of gains.
"""
