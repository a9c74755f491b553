"""The networks of public BSRNN codebases, equal to their code, so that their weights can be used.

In: a mixture [B, C, T]. Out: stems [B, S, C, T]. `models.importing` fills them with weights.
"""
