"""Files written whole or not at all: whoever reads one meets the old content or the new one, never a part of it."""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name; when the block ends well, it is on the disk and has its own name.

    If the block raises, ``path`` is as it was, and nothing else is left.

    Args:
        path: the file, in a folder that exists.

    Yields:
        Where the block writes the file.

    Raises:
        OSError: it cannot be written or renamed.
    """
    part = _temporary_name(path)
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a file by a text, as ``replacing`` does."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file by bytes, as ``replacing`` does."""
    with replacing(path) as part:
        part.write_bytes(content)


def write_json(path: Path, value: Any, indent: int = 1, ensure_ascii: bool = True, allow_nan: bool = True) -> None:
    """Replace a file by a value as json and a line end, as ``replacing`` does.

    Args:
        path: the file.
        value: what json can hold.
        indent, ensure_ascii, allow_nan: see ``json.dumps``.

    Raises:
        ValueError: a number that is not finite, where ``allow_nan`` is False; the file is as it was.
    """
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, allow_nan=allow_nan) + "\n")


def _temporary_name(path: Path) -> Path:
    """A hidden file beside another, which no other process or thread uses, with a name that is never too long."""
    return path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex[:8]}.part")
