"""The contents of the report: a run's record and results, in the order of the page."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark.provenance.weights import OURS_ROLE, PEER_ROLE
from benchmark.runs.record import Record, read_record
from benchmark.runs.store import TrackId, track_id
from benchmark.scoring import metrics
from benchmark.tables.statistics import MEAN, stem_mean
from benchmark.tables.summary import WHOLE, groups_of, interval_of, score_of, sets_of, summarise
from models.tracks import STEMS

METRICS = {name: metric.title for name, metric in metrics.METRICS.items()}
ENDLESS_DB = 999.0
"""Replaces an infinite SDR in the page's data, which are strict json."""


@dataclass(frozen=True)
class System:
    """A system of the run.

    Attributes:
        name: as in `--systems`.
        label: the name of its row.
        short: the same without remarks, for plots.
        remark: the remarks that `short` leaves out.
        tone: its role, OURS_ROLE, PEER_ROLE or BOUND_ROLE.
        row: from `summarise`.
        results: {track's title: result}.
    """

    name: str
    label: str
    short: str
    remark: str
    tone: str
    row: dict[str, Any]
    results: dict[str, dict[str, Any]]

    def values(self, metric: str, stem: str, together: tuple[str, ...] = WHOLE) -> dict[str, float]:
        """The finite scores of its tracks, {track: dB}; for MEAN the mean of STEMS, if it has all of them."""
        values = {track: value_of(result, metric, stem, together) for track, result in self.results.items()}
        return {track: value for track, value in values.items() if math.isfinite(value)}

    def score(self, metric: str, stem: str, together: tuple[str, ...] = WHOLE) -> float:
        """Its score over tracks, of a stem or of MEAN; NaN if there is none."""
        return score_of(self.row, metric, stem, together)

    def interval(self, metric: str, stem: str, together: tuple[str, ...] = WHOLE) -> tuple[float, float]:
        """The 95 % interval of the score; NaN if there are too few tracks."""
        return interval_of(self.row, metric, stem, together)


def value_of(result: dict[str, Any], metric: str, stem: str, together: tuple[str, ...]) -> float:
    """A track's score of a stem, or of MEAN, scored together with some stems; NaN if there is none."""
    scores = groups_of(result).get(together, {}).get(metric, {})
    return stem_mean(scores) if stem == MEAN else scores.get(stem, math.nan)


@dataclass(frozen=True)
class Contents:
    """A run.

    Attributes:
        out: its folder.
        record: its record.
        systems: those with any result.
    """

    out: Path
    record: Record
    systems: tuple[System, ...]

    @cached_property
    def tracks(self) -> list[str]:
        """The titles of the tracks with any result, in order."""
        measured = {track for system in self.systems for track in system.results}
        return [title for title in self.record.tracks.values() if title in measured]

    @cached_property
    def stems(self) -> list[str]:
        """Every stem that is scored: STEMS, then others."""
        scored = {stem for system in self.systems for stem in system.row["stems"]}
        return [stem for stem in STEMS if stem in scored] + sorted(scored - set(STEMS))

    @cached_property
    def sets(self) -> list[tuple[str, ...]]:
        """The sets of stems that were scored together, all four first."""
        return sets_of(system.row for system in self.systems)

    @property
    def ours(self) -> list[System]:
        """The systems whose worst and best tracks are shown: our own; if there are none, all except the bounds."""
        ours = [system for system in self.systems if system.tone == OURS_ROLE]
        return ours or [system for system in self.systems if system.tone == PEER_ROLE] or list(self.systems)

    @property
    def missing(self) -> int:
        """Number of missing results of the run."""
        return len(self.record.keys) - sum(len(system.results) for system in self.systems)


def read_contents(out: Path) -> Contents:
    """Read a run's folder.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: no result is stored yet, or the record is damaged.
    """
    record = read_record(out)
    by_system: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in record.systems}
    titles: dict[TrackId, str] = record.tracks
    for result in record.results(out):
        by_system[result["key"]["system"]][titles[track_id(result["key"])]] = result
    measured = {name: results for name, results in by_system.items() if results}
    if not measured:
        raise ValueError(
            f"{out}: expected results, got none of this version: nothing has been measured yet; run the benchmark again"
        )
    rows = {name: summarise(list(results.values())) for name, results in measured.items()}
    shorts = split_labels([row["label"] for row in rows.values()])
    return Contents(
        out,
        record,
        tuple(
            System(name, rows[name]["label"], short, remark, rows[name]["role"], rows[name], results)
            for (short, remark), (name, results) in zip(shorts, measured.items(), strict=True)
        ),
    )


def split_labels(labels: Sequence[str]) -> list[tuple[str, str]]:
    """Labels and their remarks: "A (small)" and "ours" from "A (small, ours)", unless two labels would be equal."""
    parts = []
    for label in labels:
        found = re.fullmatch(r"(.*?) \(([^(),]+)(?:, (.*?))?\)((?: \[[^]]*\])*)", label)
        if found is None:
            parts.append((label, ""))
            continue
        name, first, rest, marks = found.groups()
        short, remarks = (name, [first]) if first.endswith(" bound") else (f"{name} ({first})", [])
        parts.append((short, ", ".join([*remarks, *filter(None, (rest, marks.strip(" []")))])))
    shorts = [short for short, _ in parts]
    return [part if shorts.count(part[0]) == 1 else (label, "") for part, label in zip(parts, labels, strict=True)]


def stored(value: float, digits: int = 2) -> float | None:
    """A score for the page's data: None for NaN, ENDLESS_DB for infinity."""
    if math.isnan(value):
        return None
    return round(min(ENDLESS_DB, max(-ENDLESS_DB, value)), digits)
