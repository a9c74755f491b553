"""What the commands of all four packages share: one writer for each folder, files written whole, one-line errors.

In: paths and argument lists. Out: locks, files, exit codes. It imports nothing of ours.
"""
