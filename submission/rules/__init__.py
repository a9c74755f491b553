"""The rules of the challenge: stems, limits of time and memory, and what each board allows in training.

In: model cards. Out: constants, flags of `aicrowd.json`.
"""
