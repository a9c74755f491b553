"""The audio in the report: the choice of tracks, and their audio and spectrograms as text for the page."""

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.page.spectrogram import level_db, picture
from benchmark.runs.audio import MIXTURE, decode, estimate_file, references_file
from benchmark.tables.statistics import mean_over_stems
from models.tracks import STEMS

DEFAULT_BYTES = 40_000_000
"""Limit for the audio of the default choice of tracks."""
EACH_END = 3
"""Number of the worst and of the best tracks that are shown for each of our systems."""


def ranking(results: Mapping[str, dict[str, Any]]) -> list[str]:
    """A system's tracks, worst first, from its results by track."""
    return sorted(results, key=lambda track: track_score(results[track]))


def track_score(result: dict[str, Any]) -> float:
    """The global SDR of a track: the mean of those of STEMS that the system has, else its accompaniment's."""
    scores = result["scores"]["sdr"]
    chosen = [scores[stem] for stem in scores if stem in STEMS] or list(scores.values())
    return float(mean_over_stems(np.array(chosen)))


def extremes(rankings: Sequence[Sequence[str]]) -> list[str]:
    """The most informative tracks first: the worst and the best of each system in turn, then the second worst, ...

    Args:
        rankings: tracks of each system, worst first.
    """
    order: list[str] = []
    for place in range(EACH_END):
        for names in rankings:
            if place < len(names):
                order += [names[place], names[-1 - place]]
    return list(dict.fromkeys(order))


def select_tracks(wanted: Sequence[str], tracks: Sequence[str], rankings: Sequence[Sequence[str]]) -> list[str]:
    """The tracks that `--tracks` names, or the extremes if it names none.

    Args:
        wanted: names, parts of names, or "all".
        tracks: every track.
        rankings: see extremes.

    Raises:
        ValueError: a name matches no track, or several.
    """
    if not wanted:
        return extremes(rankings)
    if list(wanted) == ["all"]:
        return list(tracks)
    chosen = []
    for name in wanted:
        found = [track for track in tracks if track == name] or [
            track for track in tracks if name.casefold() in track.casefold()
        ]
        if len(found) != 1:
            count = f"{len(found)} of them" if found else "none of them"
            raise ValueError(
                f"--tracks: expected all, or names out of {len(tracks)} tracks, got {name!r}, which matches {count}"
            )
        chosen += found
    return list(dict.fromkeys(chosen))


@dataclass(frozen=True)
class Excerpt:
    """The stored audio of a track.

    Attributes:
        start_s, length_s: its place in the track.
        streams: {name: (mp3, WebP spectrogram)}. The names are "mixture", "r/STEM" for the references, "NUMBER/STEM"
            for the estimates.
    """

    start_s: float
    length_s: float
    streams: dict[str, tuple[bytes, bytes]]


def inside(excerpt: Excerpt) -> dict[str, Any]:
    """An excerpt for the page's data, with its files in base64."""
    streams = {
        name: [base64.b64encode(file).decode("ascii") for file in files] for name, files in excerpt.streams.items()
    }
    return {"start_s": excerpt.start_s, "length_s": excerpt.length_s, "streams": streams}


def excerpt(out: Path, systems: Sequence[str], results: Mapping[str, dict[str, Any]]) -> Excerpt | None:
    """The stored audio of a track with a spectrogram of each file; None if no audio was stored.

    Missing files, and those of another excerpt, are left out.

    Args:
        out: the run's folder.
        systems: all systems in order; their index is the NUMBER of the streams.
        results: of the track, by system.
    """
    kept = {name: result["audio"] for name, result in results.items() if result.get("audio")}
    if not kept:
        return None
    folder = Counter(audio["folder"] for audio in kept.values()).most_common(1)[0][0]
    kept = {name: audio for name, audio in kept.items() if audio["folder"] == folder}
    files = {"mixture": references_file(folder, MIXTURE)}
    stems = dict.fromkeys(stem for name in kept for stem in results[name]["scores"]["stems"])
    files |= {f"r/{stem}": references_file(folder, stem) for stem in stems}
    for number, name in enumerate(systems):
        if name in kept and name != MIXTURE:
            files |= {
                f"{number}/{stem}": estimate_file(folder, name, stem) for stem in results[name]["scores"]["stems"]
            }
    streams = _streams({name: path for name, file in files.items() if (path := out / file).is_file()})
    if not streams:
        return None
    first = next(iter(kept.values()))
    return Excerpt(first["start_s"], first["length_s"], streams)


def _streams(files: Mapping[str, Path]) -> dict[str, tuple[bytes, bytes]]:
    """Audio and spectrogram of each file; the same level is black in all of them, so that they can be compared."""
    data, levels = {}, {}
    for name, path in files.items():
        data[name] = path.read_bytes()
        try:
            levels[name] = level_db(*decode(data[name]))
        except ValueError as error:
            raise ValueError(f"{path}: {error}; delete the folder {path.parent} and run the benchmark again") from error
    top_db = max([0.0, *(float(level.max()) for level in levels.values())])
    return {name: (data[name], picture(levels[name], top_db)) for name in data}
