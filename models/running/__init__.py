"""What the commands of all four packages share: files written whole, one writer a folder, processes, one-line errors.

In: paths, keys, arguments. Out: files, locks, hashes, exit codes. It imports nothing of ours, and when it is imported
the standard library alone: parts of it go into every submission.
"""
