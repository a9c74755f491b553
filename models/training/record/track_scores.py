"""The validation SDR of each track, at each validation of a run: ``tracks.csv``."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from models.running import atomic

TRACKS = "tracks.csv"

TrackScores = Mapping[str, Mapping[str, float]]
"""For each track, the SDR of each stem that plays in it, dB."""


def write_track_scores(folder: Path, step: int, scores: TrackScores) -> None:
    """Add a validation to ``tracks.csv``; one that a resumed run repeats replaces its earlier rows.

    Args:
        folder: of the run.
        step: optimiser steps of the weights that were validated.
        scores: of this validation.

    Raises:
        ValueError: the file is damaged.
    """
    kept = {each: rows for each, rows in read_track_scores(folder).items() if each < step} | {step: scores}
    stems = dict.fromkeys(stem for rows in kept.values() for row in rows.values() for stem in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, ["step", "track", *stems], restval="")
    writer.writeheader()
    for each, rows in kept.items():
        writer.writerows({"step": each, "track": track, **row} for track, row in rows.items())
    atomic.write_text(folder / TRACKS, text.getvalue())


def read_track_scores(folder: Path) -> dict[int, dict[str, dict[str, float]]]:
    """The validations in ``tracks.csv`` by their step; none if there is no such file.

    Raises:
        ValueError: the file is damaged.
    """
    if not (folder / TRACKS).exists():
        return {}
    found: dict[int, dict[str, dict[str, float]]] = {}
    try:
        with (folder / TRACKS).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                step, track = int(row.pop("step")), row.pop("track")
                found.setdefault(step, {})[track] = {stem: float(value) for stem, value in row.items() if value}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{folder / TRACKS}: expected steps, tracks and SDRs, got a damaged file; delete it") from None
    return found
