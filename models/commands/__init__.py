"""The commands of `python -m models`, one file each: their arguments, and what they do with them.

In: parsed arguments. Out: files, and an exit code. Nothing but `models.__main__` imports this room.
"""
