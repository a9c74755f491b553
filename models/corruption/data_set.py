"""Data sets made out of others: track folders that appear whole or not at all, and links to what stays as it is."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from models.running.atomic import write_text
from models.running.folder_lock import LOCK, sole_writer
from models.tracks import RENDER_FILE, FolderTrack, Track, open_tracks
from models.training.data.packs import every_tenth

UNFINISHED = ".unfinished"


@contextmanager
def data_set_folder(out: Path, file: str, settings: Mapping[str, Any]) -> Iterator[None]:
    """Hold a folder for a data set that is made with some settings, or go on with one.

    What a killed process left unfinished is removed.

    Args:
        out: made if absent.
        file: name of the file in it that keeps the settings.
        settings: all that decides what the data set is; plain values.

    Raises:
        ValueError: the folder holds something else, or a data set of other settings, or another process writes there.
    """
    settings = json.loads(json.dumps(dict(settings)))
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out}: expected a folder, got a file of that name")
    if out.is_dir() and not (out / file).is_file() and any(path.name != LOCK for path in out.iterdir()):
        raise ValueError(f"--out {out}: holds other files, and no {file}; name a folder that does not exist yet")
    with sole_writer(out):
        if (out / file).is_file():
            _check_settings(out / file, settings)
        text = json.dumps(settings, indent=1) + "\n"
        write_text(out / file, text)
        shutil.rmtree(out / UNFINISHED, ignore_errors=True)
        try:
            yield
        finally:
            shutil.rmtree(out / UNFINISHED, ignore_errors=True)


def _check_settings(path: Path, settings: Mapping[str, Any]) -> None:
    try:
        before = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise ValueError(f"{path}: damaged; delete {path.parent} and begin again") from None
    for name in {**before, **settings}:
        if before.get(name) != settings.get(name):
            raise ValueError(
                f"--out {path.parent}: was begun with {name} {before.get(name)!r}, got {settings.get(name)!r}; "
                "go on with the same, or choose another folder"
            )


def source_tracks(roots: Sequence[Path]) -> dict[str, list[Track]]:
    """The tracks of data folders as "train", "valid" and "test", each sorted by name.

    Where no folder has validation tracks, every tenth training track becomes one, those that training would choose.

    Raises:
        FileNotFoundError: a folder without tracks.
        ValueError: two tracks of one name, or no training track.
    """
    splits: dict[str, list[Track]] = {"train": [], "valid": [], "test": []}
    folders: dict[tuple[str, str], Path] = {}
    for root in roots:
        for track in open_tracks(root, "all", ()):
            split = "train" if track.split == "all" else track.split
            if (other := folders.setdefault((split, track.name), track.path)) != track.path:
                raise ValueError(f"{other} and {track.path} have one name: put them into two data sets")
            splits[split].append(track)
    for tracks in splits.values():
        tracks.sort(key=lambda track: track.name)
    recorded = [track for track in splits["train"] if not track.rendered]
    if not splits["valid"]:
        splits["valid"] = every_tenth(recorded)
        splits["train"] = [track for track in splits["train"] if track not in splits["valid"]]
    if not splits["train"]:
        raise ValueError(
            f"{', '.join(map(str, roots))}: expected a training track, beside one that validates, got none; "
            "name a folder with a train split"
        )
    return splits


def describe_tracks(splits: Mapping[str, Sequence[Track]]) -> str:
    """How many tracks each split has, and a hash of their names and files: a data set is made of these alone."""
    counts = ", ".join(f"{len(tracks)} {split}" for split, tracks in splits.items())
    prints = [f"{split} {track.fingerprint()}" for split, tracks in splits.items() for track in tracks]
    return f"{counts} ({hashlib.sha256(' '.join(prints).encode()).hexdigest()[:8]})"


def link_track(track: Track, out: Path, split: str) -> None:
    """Link a track into a split of a data set, if it is not there yet."""
    (out / split).mkdir(exist_ok=True)
    target = out / split / track.path.name
    if not target.is_symlink():
        target.symlink_to(track.path.resolve())


def make_track(track: Track, out: Path, make: Callable[[Path], None]) -> bool:
    """Make a training track, unless it is there: `make` fills a folder, which then appears under its name.

    Returns:
        Whether it was made now.
    """
    target = out / "train" / track.name
    if target.is_dir():
        return False
    folder = out / UNFINISHED / track.name
    folder.mkdir(parents=True)
    make(folder)
    if track.rendered:
        shutil.copyfile(track.path / RENDER_FILE, folder / RENDER_FILE)
    target.parent.mkdir(exist_ok=True)
    os.rename(folder, target)
    return True


def keep_stem(track: Track, stem: str, audio: np.ndarray, folder: Path, name: str | None = None) -> None:
    """Put a stem into a track folder as it is: a link where the track has a file for it, else a wav file.

    Args:
        track: has the stem.
        stem: or "mixture".
        audio: [C, T], the same.
        folder: of the new track.
        name: the stem's name there, its own by default.
    """
    files = [file for file in track.files if isinstance(track, FolderTrack) and file.stem == stem]
    if files:
        (folder / f"{name or stem}{files[0].suffix}").symlink_to(files[0].resolve())
    else:
        write_stem(folder, name or stem, audio, track.sample_rate)


def write_stem(folder: Path, name: str, audio: np.ndarray, sample_rate: int) -> None:
    """Write a stem [C, T] as a wav file of floating-point samples, 16 bits where it is silent."""
    import torch

    from models.audio.writer import write_audio

    sample_format = "wavfloat" if audio.any() else "wav16"
    write_audio(folder / f"{name}.wav", torch.from_numpy(np.ascontiguousarray(audio)), sample_rate, sample_format)
