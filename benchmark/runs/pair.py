"""A pair of a system and a track: how it is measured, in every kind of process (see `process`)."""

import os
import platform
import subprocess
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.provenance.machine import machine
from benchmark.provenance.weights import Source
from benchmark.runs.audio import keep_audio
from benchmark.runs.estimates import write_about, write_estimates
from benchmark.runs.measure import Stems, measure, warm_up
from benchmark.runs.settings import Settings
from benchmark.runs.store import result_path, track_id, write_result
from benchmark.systems.catalog import load
from benchmark.systems.interface import Counted, System, TrackSystem
from models.running.repository import ROOT
from models.tracks import Track


@dataclass(frozen=True)
class Pair:
    """A system and a track.

    Attributes:
        source: the system.
        track: the track.
        title: the track's name in messages.
        key: of the result, see `result_key`.
    """

    source: Source
    track: Track
    title: str
    key: dict[str, Any]


@dataclass(frozen=True)
class Origin:
    """How the run was started; stored with each result.

    Attributes:
        command: the user's command line.
        commit: of the checkout; "" if there is none.
        jobs: number of pairs that are measured at the same time.
    """

    command: str = ""
    commit: str = ""
    jobs: int = 1


def current_commit() -> str:
    """The commit of our checkout, with "+changes" if files of ours differ from it; "" if this is not a checkout."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        commit = git("rev-parse", "--short", "HEAD")
        changed = commit and git("status", "--porcelain", "--", "models", "benchmark")
    except OSError:
        return ""
    return f"{commit}+changes" if changed else commit


def prepare(
    source: Source, settings: Settings, live: System | None = None
) -> tuple[System | TrackSystem, dict[str, Any]]:
    """Load a system, unless it is a live object, and warm it up; returns it, and its row in the table without scores.

    Raises:
        ValueError, OSError: it cannot be loaded.
    """
    import torch

    torch.set_num_threads(settings.threads)
    system = live or load(source, settings.device)
    warm_up(system)
    return system, {
        "label": source.label,
        "role": source.role,
        "parameters": system.parameters,
        "gmacs_per_second": system.gmacs_per_second() if isinstance(system, Counted) else None,
        "checkpoint": source.checkpoint,
        "note": source.note,
    }


def measure_pair(
    system: System | TrackSystem, row: dict[str, Any], pair: Pair, out: Path, settings: Settings, origin: Origin
) -> None:
    """Measure a prepared system on a track and store the result.

    Args:
        system, row: from `prepare`.
        pair: the system and the track.
        out: folder of the results.
        settings: see Settings.
        origin: see Origin.

    Raises:
        ValueError: see `measure`.
        OSError: the result, or audio that was to be kept, could not be written.
    """
    files: dict[str, Any] = {}
    problems: list[OSError] = []

    def keep(mixture: np.ndarray, references: Stems, estimates: Stems) -> dict[str, Any] | None:
        """Store what the settings ask for. If that fails, the scores are stored all the same."""
        kept = None
        try:
            if settings.keep_audio_s:
                names = pair.track, pair.key["audio"], pair.source.name
                kept = keep_audio(out, *names, settings.keep_audio_s, mixture, references, estimates)
            if settings.keep_estimates:
                files.update(write_estimates(out, pair.key, pair.track.sample_rate, estimates))
        except OSError as error:
            problems.append(error)
        return kept

    result = measure(system, pair.track, pair.source.label, settings, keep)
    measured = {
        "machine": machine(settings.device),
        "threads": settings.threads,
        "jobs": origin.jobs,
        "load_1min": os.getloadavg()[0],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "commit": origin.commit,
        "command": origin.command,
    }
    result |= {"key": pair.key, "row": row, "measured": measured}
    write_result(result_path(out, pair.source.name, *track_id(pair.key)), result)
    if problems:
        raise OSError(f"its scores are stored, but not all of its audio ({' '.join(str(problems[0]).split())})")
    if files:
        write_about(out, pair.key, files, result)


def describe(error: BaseException) -> str:
    """An error as one line for the user; an error in our own code is also printed with its traceback."""
    text = " ".join(str(error).split())
    if isinstance(error, (ValueError, OSError)):
        return text
    traceback.print_exception(error)
    return f"{type(error).__name__}: {text}"
