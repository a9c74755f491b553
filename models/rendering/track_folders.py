"""What `render` and `sing` share: the MIDI files they read, and track folders that exist completely or not at all."""

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.running import atomic
from models.running.hashes import sha256
from models.tracks import RENDER_FILE, STEMS

MIDI_SUFFIXES = (".mid", ".midi")
_UNFINISHED = ".unfinished"


def find_midi(folders: Sequence[Path]) -> dict[str, Path]:
    """The MIDI files anywhere below some folders, by their SHA-256; of equal files the first.

    Raises:
        FileNotFoundError: a folder does not exist, or there is no MIDI file in any of them.
    """
    songs: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"--midi: expected a folder of MIDI files, got {folder}")
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in MIDI_SUFFIXES and not path.name.startswith(".") and path.is_file():
                songs.setdefault(sha256(path), path)
    if not songs:
        raise FileNotFoundError(
            f"--midi: no {' or '.join(MIDI_SUFFIXES)} files in {', '.join(str(folder) for folder in folders)}"
        )
    return songs


@contextlib.contextmanager
def unfinished_cleared(out: Path) -> Iterator[None]:
    """Clear away the tracks that a killed process left unfinished, and those that this one leaves."""
    shutil.rmtree(out / _UNFINISHED, ignore_errors=True)
    try:
        yield
    finally:
        shutil.rmtree(out / _UNFINISHED, ignore_errors=True)


@contextlib.contextmanager
def new_track(out: Path, name: str) -> Iterator[Path]:
    """A folder to write a track to; without an error it becomes ``out / name`` at the end, else it is removed.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = out / _UNFINISHED / name
    folder.mkdir(parents=True)
    try:
        yield folder
        shutil.rmtree(out / name, ignore_errors=True)
        folder.rename(out / name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_track(folder: Path, stems: Mapping[str, np.ndarray], sample_rate: int, facts: Mapping[str, Any]) -> float:
    """Write a track's stems, silence for those that it lacks, and how it was made; returns its duration in seconds.

    Args:
        folder: an empty one.
        stems: at least one, float32 [C, T], all of one shape.
        sample_rate: of them.
        facts: everything that determines the audio, and whatever else is worth to know.
    """
    import torch

    from models.audio.writer import write_audio

    silence = np.zeros_like(next(iter(stems.values())))
    for stem in STEMS:
        write_audio(folder / f"{stem}.flac", torch.from_numpy(stems.get(stem, silence)), sample_rate, "flac16")
    duration_s = silence.shape[-1] / sample_rate
    atomic.write_json(folder / RENDER_FILE, {**facts, "duration_s": duration_s})
    return duration_s


def finished_duration_s(folder: Path, inputs: Mapping[str, Any]) -> float | None:
    """The duration of a track that exists and was made from the same inputs, else None."""
    try:
        facts = json.loads((folder / RENDER_FILE).read_text(encoding="utf-8"))
        if all(facts[name] == value for name, value in inputs.items()):
            return float(facts["duration_s"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None
