"""What the report is made of: a run's record and results, put in the order in which the page needs them."""

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark.record import Record, read_record
from benchmark.summary import summarise
from benchmark.systems import MIXTURE, ORACLE
from models.tracks import STEMS

OURS, PEER, BOUND = "ours", "peer", "bound"
MEAN = "mean"
METRICS = {"sdr": "Global SDR", "csdr": "cSDR", "si_sdr": "SI-SDR", "isr": "ISR", "sir": "SIR", "sar": "SAR"}
ENDLESS_DB = 999.0
"""Stands for an infinite SDR in the page's data, which are strict json."""


@dataclass(frozen=True)
class System:
    """A system of the run.

    Attributes:
        name: as in `--systems`.
        label: what its row is called.
        short: the same without remarks, for plots.
        remark: what it was without.
        tone: OURS, PEER or BOUND.
        row: what `summarise` says.
        results: {track: result}.
    """

    name: str
    label: str
    short: str
    remark: str
    tone: str
    row: dict[str, Any]
    results: dict[str, dict[str, Any]]

    def values(self, metric: str, stem: str) -> dict[str, float]:
        """The finite scores of its tracks, {track: dB}; the mean of STEMS where `stem` is MEAN and it has them all."""
        stems = STEMS if stem == MEAN else (stem,)
        values = {
            track: statistics.fmean(result["scores"][metric][name] for name in stems)
            for track, result in self.results.items()
            if all(name in result["scores"][metric] for name in stems)
        }
        return {track: value for track, value in values.items() if math.isfinite(value)}

    def score(self, metric: str, stem: str) -> float:
        """Its score over tracks, of a stem or of MEAN; NaN if there is none."""
        return self.row[metric].get(stem, math.nan)

    def interval(self, metric: str, stem: str) -> tuple[float, float]:
        """The 95 % interval of the score; NaN where there are too few tracks for one."""
        return self.row["intervals"][metric].get(stem, (math.nan, math.nan))


@dataclass(frozen=True)
class Contents:
    """A run.

    Attributes:
        out: its folder.
        record: what it is of.
        systems: those with any result.
    """

    out: Path
    record: Record
    systems: tuple[System, ...]

    @cached_property
    def tracks(self) -> list[str]:
        """The tracks with any result, in order."""
        measured = {track for system in self.systems for track in system.results}
        return [track for track in self.record.tracks if track in measured]

    @cached_property
    def stems(self) -> list[str]:
        """Every stem that is scored: STEMS, then others."""
        scored = {stem for system in self.systems for stem in system.row["stems"]}
        return [stem for stem in STEMS if stem in scored] + sorted(scored - set(STEMS))

    @property
    def ours(self) -> list[System]:
        """The systems whose worst and best tracks are shown: our own, or else every one that is no bound."""
        ours = [system for system in self.systems if system.tone == OURS]
        return ours or [system for system in self.systems if system.tone == PEER] or list(self.systems)

    @property
    def missing(self) -> int:
        """How many results the run lacks."""
        return len(self.record.keys) - sum(len(system.results) for system in self.systems)


def read_contents(out: Path) -> Contents:
    """Read what a run left in its folder.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: nothing has been measured yet, or the record is damaged.
    """
    record = read_record(out)
    by_system: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in record.systems}
    for result in record.results(out):
        by_system[result["key"]["system"]][result["key"]["track"]] = result
    measured = {name: results for name, results in by_system.items() if results}
    if not measured:
        raise ValueError(f"{out}: nothing has been measured yet, or by another version; run the benchmark again")
    rows = {name: summarise(list(results.values())) for name, results in measured.items()}
    shorts = split_labels([row["label"] for row in rows.values()])
    return Contents(
        out,
        record,
        tuple(
            System(name, rows[name]["label"], short, remark, tone_of(name), rows[name], results)
            for (short, remark), (name, results) in zip(shorts, measured.items(), strict=True)
        ),
    )


def tone_of(name: str) -> str:
    """Whether a system is ours, a peer or a bound."""
    kind = name.partition(":")[0]
    return BOUND if kind in (MIXTURE, ORACLE) else OURS if kind == "bsrnn" else PEER


def split_labels(labels: Sequence[str]) -> list[tuple[str, str]]:
    """Labels and their remarks: "A (small)" and "ours" out of "A (small, ours)", unless two labels would be alike."""
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
    """A score as the page's data hold it: None for NaN, ENDLESS_DB for infinity."""
    if math.isnan(value):
        return None
    return round(min(ENDLESS_DB, max(-ENDLESS_DB, value)), digits)
