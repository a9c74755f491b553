"""Runs code that is not trusted: a process without network, with a read-only disk and limits of time and memory.

In: a submission's folder and what to ask it. Out: checked messages, or a one-line error.
"""
