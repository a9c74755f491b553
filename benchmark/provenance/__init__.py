"""The origin of a figure: files of code, hashes of weights, and the machine with its load.

In: modules, files, processes. Out: hashes, versions, memory and processor time.
"""
