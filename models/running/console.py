"""Settings of stdout and stderr for all command lines."""

import sys


def show_any_name() -> None:
    """Let stdout and stderr print any file name: characters that the terminal cannot show are escaped."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # tests and notebooks replace the streams by others without it
            stream.reconfigure(errors="backslashreplace")
