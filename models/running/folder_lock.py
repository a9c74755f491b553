"""One writer for a folder: a lock on a file in it, which ends with the process that holds it, however that ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCK = "lock"
"""The locked file; it holds the process's number, and stays where it is."""

_held: set[IO[str]] = set()


@contextmanager
def sole_writer(folder: Path, wait: bool = False) -> Iterator[None]:
    """Keep a folder to this process until the block ends.

    Args:
        folder: made if absent.
        wait: wait until the other process ends, instead of raising.

    Raises:
        ValueError: another process has the folder; nothing in it was changed.
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


def _let_go() -> None:
    """A forked process, such as one that makes batches, shares the lock and would keep it after its parent's death."""
    for file in _held:
        file.close()
    _held.clear()


os.register_at_fork(after_in_child=_let_go)
