"""What is said of the songs: lines on the terminal, and a report in json."""

import math
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from models.running import atomic
from models.songs.jobs import DONE, FAILED, SEPARATED, Outcome


def print_outcome(outcome: Outcome, clip: str) -> None:
    """Print a song's files, or why it failed, and what left the range.

    Args:
        outcome: the song's.
        clip: what was done with samples beyond +-1, see ``models.songs.separate_song.CLIPS``.
    """
    path, written = outcome.path, outcome.written
    if written is None:
        print(f"{path}: {outcome.error}", file=sys.stderr)
        return
    names = " ".join(str(file.path) for file in written.files.values())
    print(f"{path} -> {names}" if outcome.status == SEPARATED else f"{path}: {outcome.status}, {names}", flush=True)
    if written.gain < 1:
        print(f"{path}: all stems {decibels(written.gain):.1f} dB, so that none clips", file=sys.stderr)
        return
    for file in written.files.values():
        if not file.beyond:
            continue
        if clip == "none":
            text = f"{file.beyond} samples beyond full scale, up to {decibels(file.peak):+.1f} dB, kept"
        else:
            text = f"{file.beyond} samples clipped; --format wavfloat keeps them, --clip rescale makes the song quieter"
        print(f"{file.path}: {text}", file=sys.stderr)


def summary(outcomes: Iterable[Outcome]) -> str:
    """How many songs had each outcome, one line."""
    statuses = [outcome.status for outcome in outcomes]
    counts = ", ".join(f"{statuses.count(status)} {status}" for status in (SEPARATED, DONE, FAILED))
    return f"{len(statuses)} songs: {counts}"


def write_report(path: Path, key: Mapping[str, Any], outcomes: Iterable[Outcome]) -> None:
    """Write the report of a run.

    Args:
        path: its file; the folder is made if absent.
        key: network and options.
        outcomes: of the songs.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    songs = [_entry(outcome) for outcome in outcomes]
    atomic.write_json(path, {**key, "songs": songs}, allow_nan=False)


def decibels(ratio: float) -> float:
    """20 log10 of a ratio of amplitudes; of 0 that of the smallest float32."""
    return 20 * math.log10(max(ratio, 2.0**-126))


def _entry(outcome: Outcome) -> dict[str, Any]:
    entry: dict[str, Any] = {"input": str(outcome.path), "status": outcome.status}
    if outcome.written is None:
        return {**entry, "error": outcome.error}
    written = outcome.written
    files = [
        {
            "stem": stem,
            "path": str(file.path),
            "peak_dbfs": round(decibels(file.peak), 2),
            "samples_beyond_full_scale": file.beyond,
        }
        for stem, file in written.files.items()
    ]
    return {
        **entry,
        "duration_s": round(written.seconds, 3),
        "work_s": round(outcome.work_s, 3),
        "gain_db": round(decibels(written.gain), 2),
        "files": files,
    }
