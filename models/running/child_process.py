"""Processes that this one starts: ended with all that they started, and what is said of their end."""

import contextlib
import os
import signal
from typing import IO

TAIL_BYTES = 1 << 16


def kill_group(group: int) -> None:
    """Kill a process that leads a group or session, and all that is in it; nothing happens if it has gone.

    Args:
        group: number of the process that leads it.

    Raises:
        PermissionError: it is somebody else's.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def how_it_ended(exit_code: int) -> str:
    """How a process ended, in words.

    Args:
        exit_code: as ``subprocess`` and ``multiprocessing`` give it: a signal's number is negative.
    """
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        name = f" ({signal.Signals(-exit_code).name})"
    except ValueError:
        name = ""
    killed = ", perhaps by the kernel for lack of memory" if -exit_code == signal.SIGKILL else ""
    return f"was ended by signal {-exit_code}{name}{killed}"


def last_lines(log: IO[bytes], num_lines: int) -> list[str]:
    """The last lines of a process's log, without empty ones at its end; of a long log only the last bytes are read.

    Args:
        log: open for reading, at any position.
        num_lines: how many.
    """
    log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES))
    return log.read(TAIL_BYTES).decode(errors="replace").strip().splitlines()[-num_lines:]
