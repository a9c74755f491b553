"""Locks a folder for one process. The lock ends with the process, even if it is killed."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCK = "lock"
"""The locked file; it holds the process's number and is never removed."""

_held: set[IO[str]] = set()


@contextmanager
def sole_writer(folder: Path, wait: bool = False) -> Iterator[None]:
    """Lock a folder for this process until the block ends.

    Args:
        folder: made if absent.
        wait: whether to wait for the other process; else raise.

    Raises:
        ValueError: another process has locked the folder; its files are unchanged.
        OSError: the folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{folder}: process {_owner(file)} is writing there; wait until it ends, or choose another folder"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        _held.add(file)
        try:
            yield
        finally:
            _held.discard(file)


def _owner(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or "?"


def _release_after_fork() -> None:
    """Close the locked files in a forked process; else it would keep the lock when its parent ends."""
    for file in _held:
        file.close()
    _held.clear()


os.register_at_fork(after_in_child=_release_after_fork)
