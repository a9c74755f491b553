"""What the command lines have in common when they print."""

import sys


def show_any_name() -> None:
    """Let stdout and stderr print names that the terminal cannot show, or that are not UTF-8, with escapes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not what tests and notebooks put in their place
            stream.reconfigure(errors="backslashreplace")
