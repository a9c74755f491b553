"""Makes the folder that is submitted, from the kit, the code that the predictor reaches, and checkpoints.

In: checkpoints. Out: a folder that AIcrowd's evaluator builds and runs.
"""
