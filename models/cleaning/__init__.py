"""Cleaning: finds the stems of a data set that are not what their name says, by what a trained model hears in them.

In: data folders and a checkpoint. Out: a data set of links, cuts and silences, `report.csv` with the reason for each
stem, `report.png`, and, where the truth is known, how much of it was found.
"""
