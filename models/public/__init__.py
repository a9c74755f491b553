"""Networks of public BSRNN codebases, equal to their own code, so that their published weights can be used here.

In: mixtures [B, C, T]. Out: an `Estimate`. Weights come out of `models.importing`; what only one codebase does lies in
the file named after it, and is no option of our BSRNN.
"""
