"""Files that a submission writes elsewhere than the grader's wrapper does: a full or read-only disk then fails it.

Two looks: folders before and after, which see what any code did there, and an audit hook in the child, which sees what
Python code opens for writing anywhere. Temporary files (below $HOME and $TMPDIR) are nobody's business.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

LEFT_OUT = frozenset({".git", "__pycache__", "evaluator_outputs", "public_dataset"})
"""Folders of a submission that are git's, Python's or the kit's."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_MOST = 20


def all_files(root: Path) -> Iterator[Path]:
    """The files of a submission, relative to `root`, sorted; without the folders of `LEFT_OUT`."""
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and not LEFT_OUT & set(relative.parts):
            yield relative


class Snapshot:
    """What lies in some folders now.

    Args:
        folders: the folders, at any depth of which a file counts.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._known = self._look()

    def changes(self) -> list[str]:
        """The files that are new or changed since the last look, this one included."""
        before, self._known = self._known, self._look()
        return sorted(str(path) for path, state in self._known.items() if before.get(path) != state)

    def _look(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for folder in self._folders:
            for place, names, files in os.walk(folder):
                names[:] = [name for name in names if name not in LEFT_OUT]
                for path in (Path(place, file) for file in files):
                    with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                        status = path.lstat()
                        found[path] = (status.st_size, status.st_mtime_ns)
        return found


class WriteWatch:
    """Notes every file that Python code of this process opens for writing from now on, temporary ones left out.

    Attributes:
        paths: absolute, each once, the first few.
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
