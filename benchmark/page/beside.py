"""The audio of a report in files beside it, for a web server: the browser then loads only what is played."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmark.page.listening import Excerpt
from benchmark.runs.store import safe_name


class AudioFolder:
    """A folder of mp3 files and spectrograms. It is made under a temporary name and replaces the old one at the end.

    Attributes:
        path: its place at the end, `report-audio` for `report.html`.
    """

    def __init__(self, path: Path, part: Path) -> None:
        self.path = path
        self._part = part

    @classmethod
    @contextmanager
    def beside(cls, page: Path, wanted: bool) -> Iterator["AudioFolder | None"]:
        """The folder beside a page, None if it is not wanted; when the block ends, nothing temporary is left.

        Raises:
            ValueError: there is a folder of this name with other files.
        """
        if not wanted:
            yield None
            return
        path = page.with_name(f"{page.stem}-audio")
        if path.exists() and not (path.is_dir() and all(child.name.isdigit() for child in path.iterdir())):
            raise ValueError(f"--audio-beside: {path} holds other files; move it, or name another page with --out")
        part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=page.parent))
        part.chmod(0o777 & ~_umask())  # a web server must be able to read it
        try:
            yield cls(path, part)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def keep(self, index: int, excerpt: Excerpt) -> dict[str, Any]:
        """Write the files of a track; returns its data for the page, with addresses instead of audio."""
        (self._part / str(index)).mkdir()
        streams = {}
        for name, (audio, picture) in excerpt.streams.items():
            files = []
            for content, ending in ((audio, "mp3"), (picture, "webp")):
                file = f"{index}/{safe_name(name.replace('/', '-'))}.{ending}"
                (self._part / file).write_bytes(content)
                files.append(f"{quote(self.path.name)}/{file}")
            streams[name] = files
        return {"start_s": excerpt.start_s, "length_s": excerpt.length_s, "streams": streams}

    def publish(self) -> int:
        """Put the folder into its place; returns the bytes in it."""
        if self.path.exists():
            shutil.rmtree(self.path)
        os.replace(self._part, self.path)
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
