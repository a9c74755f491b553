"""Finds the songs among the files and folders of a command line."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_AUDIO = "wav flac mp3 m4a m4b aac ogg oga opus aif aiff aifc au caf w64 rf64 wma ac3 ape wv tta mka"
_VIDEO = "mp4 m4v webm mkv mov avi mpg mpeg ts wmv flv"
SUFFIXES = frozenset(f".{name}" for name in f"{_AUDIO} {_VIDEO}".split())
"""Endings of the files that a folder is searched for, in lower case."""


@dataclass(frozen=True)
class Song:
    """A file to separate."""

    path: Path
    """The file."""
    folder: Path = Path()
    """Where it is, relative to the folder that was searched; its stems go to the same place below the output folder."""


def find_songs(inputs: Sequence[Path], out: Path) -> list[Song]:
    """The songs that a command line names: files as they are, folders with all that is below them.

    Hidden files and folders are left out, and so is the output folder if it is inside.

    Args:
        inputs: files (they need not exist: reading them says so) and folders.
        out: folder of the stems.

    Returns:
        Songs in the order of the inputs; those of a folder sorted by name.

    Raises:
        ValueError: a folder holds no song, or is the output folder.
    """
    songs: list[Song] = []
    for path in inputs:
        if not path.is_dir():
            songs.append(Song(path))
            continue
        if path.resolve() == out.resolve():
            raise ValueError(f"--out {out}: expected a folder other than that of the songs, got the same")
        found = sorted(_songs_below(path, out.resolve()))
        if not found:
            raise ValueError(f"{path}: no audio or video files in this folder")
        songs += [Song(file, file.parent.relative_to(path)) for file in found]
    return songs


def _songs_below(folder: Path, out: Path) -> Iterable[Path]:
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        folders[:] = [name for name in folders if not name.startswith(".") and (here / name).resolve() != out]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield here / name
