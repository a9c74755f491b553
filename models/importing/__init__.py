"""Reads checkpoint files of public codebases, which are pickles, without running anything in them.

In: files or a record to download. Out: named tensors and settings, as a checkpoint of ours needs them.
"""
