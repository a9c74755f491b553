"""Checkpoint folders: safetensors weights, `config.json` and a model card, read without running code.

In: a name or folder. Out: a checked configuration, and a network with its weights.
"""
