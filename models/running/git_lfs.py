"""Files that git-LFS has not fetched: a few lines of text lie where the weights should be."""

from pathlib import Path

HEADER = b"version https://git-lfs"
"""The first bytes of a pointer.

Source: the specification of git-lfs, docs/spec.md.
"""


def is_pointer(path: Path) -> bool:
    """Whether a file is a pointer of git-LFS instead of what it stands for."""
    with path.open("rb") as file:
        return file.read(len(HEADER)) == HEADER
