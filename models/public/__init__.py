"""The networks of public BSRNN codebases: their output equals that of the original code, so their weights can be used.

In: a mixture [B, C, T]. Out: stems [B, S, C, T]. `models.importing` reads their weights.
"""
