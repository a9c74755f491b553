"""What the command lines have in common: names of any kind are printed, and an error of the user is one line."""

import sys
from collections.abc import Callable

OURS = ("models", "benchmark", "tuning", "submission")


def run_command(command: Callable[[], int], name: str, interrupted: str = "interrupted") -> int:
    """Run a command that was parsed; what the user must be told of its failure is one line on stderr.

    Args:
        command: does it, and returns the exit code.
        name: what the line begins with.
        interrupted: what is said after Ctrl-C.

    Returns:
        The exit code: the command's; 2 after bad input, a missing file or package, or a full disk; 130 after Ctrl-C.
    """
    show_any_name()
    try:
        return command()
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        package = str(error.name).split(".")[0]
        if package in OURS:
            raise
        print(
            f"{name}: this needs the package {package}, which is not installed; of pip install 'bandsplit[EXTRA]', "
            "the extras separate, train, benchmark, tuning and submission bring what their commands need",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return 130


def show_any_name() -> None:
    """Let stdout and stderr print any file name: characters that the terminal cannot show are escaped."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # tests and notebooks replace the streams by others without it
            stream.reconfigure(errors="backslashreplace")
