"""Hashes of whole files, remembered in a run's folder so that a data set is read once and not at every command."""

import json
import time
from collections.abc import Iterable
from pathlib import Path

from models.running import atomic
from models.running.hashes import names_and_hashes, sha256

HASHES_FILE = "hashes.json"
JUST_CHANGED_S = 2.0
"""A file changed so recently may change again at the same time stamp: its hash is not remembered."""


class FileHashes:
    """SHA-256 of files, every byte of them. A file is read again when its size or a time of change differs.

    The times are both of Unix's: that of the content can be set to anything, that of the inode cannot.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Read what is remembered; anything damaged is forgotten.

        Args:
            folder: where `hashes.json` is; None remembers in memory alone.
        """
        self._path = folder / HASHES_FILE if folder else None
        self._known: dict[str, list[object]] = {}
        self._changed = False
        if self._path:
            try:
                stored = json.loads(self._path.read_text(encoding="utf-8"))
                self._known = {str(file): list(entry) for file, entry in stored.items()}
            except (OSError, ValueError, AttributeError, TypeError):
                pass

    def of(self, files: Iterable[Path]) -> str:
        """One hash of files, of their names and contents, in the order given."""
        return names_and_hashes((file.name, self._of_file(file)) for file in files)

    def save(self) -> None:
        """Remember what was read, whole or not at all."""
        if not self._path or not self._changed:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_json(self._path, self._known, indent=0)
        self._changed = False

    def _of_file(self, file: Path) -> str:
        path = file.resolve()
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        known = self._known.get(str(path), [])
        if known[:-1] == stamp:
            return str(known[-1])
        found = sha256(path)
        if time.time() - max(status.st_mtime, status.st_ctime) > JUST_CHANGED_S:
            self._known[str(path)] = [*stamp, found]
            self._changed = True
        return found
