"""Shared by the commands of all four packages: folder locks, files written completely or not at all, terminal output.

In: paths and argument lists. Out: locks, files, exit codes. It imports nothing else of ours.
"""
