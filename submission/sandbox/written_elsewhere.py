"""Finds files that a submission writes besides its predictions: they fail where the disk is full or read-only.

There are two methods. `Snapshot` compares folders before and after a track; it finds files of any program. `WriteWatch`
is an audit hook in the sandboxed process; it finds what Python code opens for writing, in any folder. Temporary files
(below $HOME and $TMPDIR) are not counted.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

LEFT_OUT = frozenset({".git", "__pycache__", "evaluator_outputs", "public_dataset"})
"""Folder names that do not count: they belong to git, Python or the kit."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_MOST = 20


def all_files(root: Path) -> Iterator[Path]:
    """The files of a submission, relative to `root`, sorted; without the folders of `LEFT_OUT`."""
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and not LEFT_OUT & set(relative.parts):
            yield relative


class Snapshot:
    """The size and time of each file in some folders, at any depth.

    Args:
        folders: the folders.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._known = self._list_files()

    def changes(self) -> list[str]:
        """The files that are new or changed since the last call, or since the snapshot was made."""
        before, self._known = self._known, self._list_files()
        return sorted(str(path) for path, state in self._known.items() if before.get(path) != state)

    def _list_files(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for folder in self._folders:
            for place, names, files in os.walk(folder):
                names[:] = [name for name in names if name not in LEFT_OUT]
                for path in (Path(place, file) for file in files):
                    with contextlib.suppress(FileNotFoundError):  # deleted since os.walk listed it
                        status = path.lstat()
                        found[path] = (status.st_size, status.st_mtime_ns)
        return found


class WriteWatch:
    """Records each file that Python code of this process opens for writing from now on, except temporary files.

    Attributes:
        paths: absolute paths, each once, at most 20.
    """

    def __init__(self) -> None:
        self.paths: list[str] = []
        temporary = [os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ]
        predictions = os.path.join(os.environ["AICROWD_PUBLIC_SHARED_DIR"], "predictions")
        places = (*temporary, predictions, "/dev", "/proc")
        self._allowed = tuple(os.path.join(os.path.realpath(place), "") for place in places)
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes) and (arguments[2] or 0) & _WRITING:
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if not f"{path}/".startswith(self._allowed) and path not in self.paths and len(self.paths) < _MOST:
                self.paths.append(path)
