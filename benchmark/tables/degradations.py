"""What each degradation costs each system: the clean score minus the degraded one, paired by track."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.runs.store import track_id
from benchmark.tables.report import markdown_table
from benchmark.tables.statistics import MEAN, MIN_TRACKS, bootstrap_intervals, stem_mean
from models.running import atomic
from models.tracks import STEMS


@dataclass(frozen=True)
class Cost:
    """The cost of a degradation for a system.

    Attributes:
        degradation: its name.
        system: the system's name.
        stem: the stem, or MEAN.
        num_tracks: number of tracks with a finite score of both mixtures.
        clean, degraded: the mean global SDR on these tracks, in dB.
        cost: the mean of the tracks' differences, clean minus degraded; above 0 the degradation does harm.
        low, high: its 95 % bootstrap interval; NaN with fewer than MIN_TRACKS tracks.
    """

    degradation: str
    system: str
    stem: str
    num_tracks: int
    clean: float
    degraded: float
    cost: float
    low: float
    high: float


def costs(clean: Iterable[Mapping[str, Any]], degraded: Iterable[Mapping[str, Any]]) -> list[Cost]:
    """The costs for each degradation, system and stem, in the order of the degraded results.

    Args:
        clean: results on the clean mixtures.
        degraded: results on degraded ones; tracks without a clean result are left out.
    """
    before = {(result["key"]["system"], *track_id(result["key"])): result["scores"]["sdr"] for result in clean}
    pairs: dict[tuple[str, str], list[tuple[dict[str, float], dict[str, float]]]] = {}
    for result in degraded:
        key, of = result["key"], result["key"]["degradation"]
        scores = before.get((key["system"], of["split"], key["track"]))
        if scores is not None:
            pairs.setdefault((of["name"], key["system"]), []).append((scores, result["scores"]["sdr"]))
    found = []
    for (name, system), of_tracks in pairs.items():
        for stem in (MEAN, *of_tracks[0][0]):
            both = np.array([[_score(scores, stem) for scores in pair] for pair in of_tracks]).T  # [2, tracks]
            both = both[:, np.isfinite(both).all(axis=0)]
            if both.size:
                (low, high), _ = bootstrap_intervals((both[0] - both[1])[None], "mean")
                before_db, after_db = both.mean(axis=1).tolist()
                cost = before_db - after_db
                found.append(Cost(name, system, stem, both.shape[1], before_db, after_db, cost, low, high))
    return found


def _score(scores: Mapping[str, float], stem: str) -> float:
    return stem_mean(scores) if stem == MEAN else scores.get(stem, math.nan)


def render(found: Sequence[Cost], num_tracks: int) -> str:
    """The table as Markdown: a row for each system, a column for each degradation."""
    by_pair: dict[tuple[str, str], Cost] = {}
    for cost in found:  # the mean comes first, then the system's first stem
        by_pair.setdefault((cost.system, cost.degradation), cost)
    names = list(dict.fromkeys(cost.degradation for cost in found))
    stems = {cost.system: cost.stem for cost in by_pair.values()}
    clean = {cost.system: cost.clean for cost in by_pair.values()}
    rows = [
        (
            system + ("" if stem == MEAN else f" ({stem})"),
            f"{clean[system]:.2f}",
            *(_cell(by_pair.get((system, name))) for name in names),
        )
        for system, stem in stems.items()
    ]
    tracks = f"{num_tracks} track{'s' if num_tracks != 1 else ''}"
    intervals = (
        "no intervals (few tracks)" if num_tracks < MIN_TRACKS else "in brackets: paired 95 % bootstrap intervals"
    )
    lines = [
        "**Cost of degraded mixtures (dB)**: global SDR on the clean mixture minus on the degraded one, mean of"
        f" {tracks} and the {len(STEMS)} stems, against the clean stems; above 0 it does harm; {intervals}",
        "",
        *markdown_table(("system", "clean SDR", *names), rows),
    ]
    return "\n".join(lines) + "\n"


def _cell(cost: Cost | None) -> str:
    if cost is None:
        return "–"
    interval = "" if math.isnan(cost.low) else f" [{cost.low:.2f}, {cost.high:.2f}]"
    return f"{cost.cost:.2f}{interval}"


def write_degradations(
    out: Path, clean: Iterable[Mapping[str, Any]], degraded: Iterable[Mapping[str, Any]], num_tracks: int
) -> str:
    """Write `degradations.md` and, with every stem, `degradations.csv`; returns the table."""
    import pandas

    found = costs(clean, degraded)
    table = render(found, num_tracks)
    frame = pandas.DataFrame([asdict(cost) for cost in found], columns=list(Cost.__dataclass_fields__))
    atomic.write_text(out / "degradations.csv", frame.to_csv(index=False))
    atomic.write_text(out / "degradations.md", table)
    return table
