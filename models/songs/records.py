"""Records of what was written: a stem file counts as done if the same input, network and options made it.

Each stem file has a record of its own in a hidden folder of the output folder. A record is removed before its file is
replaced and written after it, so that a kill at any moment leaves no record of a file that is not there.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.running import atomic
from models.running.keyed_results import read_keyed

FOLDER = ".separated"
"""Holds the records, in the output folder."""


def read_records(out: Path, paths: Sequence[Path], key: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The records of a song's stem files, or None if one of them is not done.

    Args:
        out: the output folder.
        paths: of the stem files, inside it.
        key: what they must have been made from and with.
    """
    records = [read_keyed(_record(out, path), key, dict) for path in paths]
    found = [record for record, path in zip(records, paths, strict=True) if record and _size(path) == record["bytes"]]
    return found if len(found) == len(paths) else None


def forget(out: Path, paths: Sequence[Path]) -> None:
    """Remove the records of stem files, which are about to be replaced."""
    for path in paths:
        _record(out, path).unlink(missing_ok=True)


def remember(out: Path, facts: Mapping[Path, Mapping[str, Any]], key: Mapping[str, Any]) -> None:
    """Write the records of stem files that were written.

    Args:
        out: the output folder.
        facts: of each file, what json can hold.
        key: what the files were made from and with.

    Raises:
        OSError: they cannot be written.
    """
    (out / FOLDER).mkdir(parents=True, exist_ok=True)
    for path, values in facts.items():
        atomic.write_json(_record(out, path), {"key": dict(key), **values, "bytes": _size(path)})


def _record(out: Path, path: Path) -> Path:
    """The file of a record: the output folder may be moved with all that is in it."""
    relative = os.fsencode(path.relative_to(out))
    return out / FOLDER / f"{hashlib.sha256(relative).hexdigest()[:24]}.json"


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
