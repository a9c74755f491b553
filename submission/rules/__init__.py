"""The rules of the challenge: stems, limits of time and memory, and the training data of each leaderboard.

In: the configs and cards of checkpoints. Out: constants, flags of `aicrowd.json`.
"""
