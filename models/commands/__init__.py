"""The commands of `python -m models`, one file each: their arguments and their code.

In: parsed arguments. Out: files, and an exit code. Only `models.__main__` imports this room.
"""
