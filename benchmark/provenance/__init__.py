"""Where a figure comes from: the code's files, the weights' hash, the machine and what it was doing.

In: modules, files, processes. Out: hashes, versions, memory and processor time.
"""
