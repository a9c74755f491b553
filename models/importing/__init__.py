"""Reads checkpoint files of public codebases, which are pickles, without running anything in them.

In: files, or an address to download from. Out: named tensors and settings for a checkpoint of ours.
"""
