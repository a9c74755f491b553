"""The systems that can be compared, one file for each kind, and the catalog of their names.

In: a name such as `demucs` or `bsrnn:tiny`. Out: its weights' source, and an object that separates.
"""
