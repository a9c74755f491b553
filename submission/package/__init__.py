"""Builds the folder to submit from the kit, the code that the predictor imports, and checkpoints.

In: checkpoints. Out: a folder that AIcrowd's evaluator builds and runs.
"""
