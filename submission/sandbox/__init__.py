"""Runs untrusted code in a process without network, with a read-only disk and with limits on time and memory.

In: a submission's folder and what to ask it. Out: checked messages, or a one-line error.
"""
