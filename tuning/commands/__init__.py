"""The commands of `python -m tuning`, one file each: run, report, promote, ablate.

In: parsed arguments. Out: files of a search, lines on the console, an exit code.
"""
