"""Reads the weights of public BSRNN codebases, without trusting them, and writes checkpoints of ours.

In: their .ckpt and .pt files. Out: a checkpoint folder that every command takes by name. The networks themselves lie in
`models.public`.
"""
