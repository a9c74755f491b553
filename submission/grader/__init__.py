"""The challenge's grader on this machine: the same wrapper, limits and scores.

In: a submission and tracks. Out: scores and times for each track, and a report.
"""
