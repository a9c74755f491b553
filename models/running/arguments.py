"""Arguments of the command lines that are numbers: what they may be, and the line that says so."""

import argparse


def positive(text: str) -> int:
    """A whole number of at least 1, for ``type=`` of an argument.

    Raises:
        argparse.ArgumentTypeError: anything else.
    """
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return value


def check_at_least(option: str, value: int, least: int) -> None:
    """Raise ValueError if the value of an option, named without its dashes, is too small."""
    if value < least:
        raise ValueError(f"--{option}: expected at least {least}, got {value}")
