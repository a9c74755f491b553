"""The entry for the Music Demixing Challenge 2023: predictor, packager, checks and a local grader.

In: checkpoints. Out: a repository to submit, and its score here. Command: `python -m submission`.
"""
