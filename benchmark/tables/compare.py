"""Compares two systems, of one run or of two, paired by track: is B worse than A by more than a margin?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.provenance.weights import BOUND_ROLE
from benchmark.runs.record import RECORD_FILE, read_record
from benchmark.runs.store import TrackId, read_result, result_path, track_id, without_frames
from benchmark.scoring.metrics import METRICS, Metric
from benchmark.tables.statistics import (
    LEVEL,
    MEAN,
    aggregate,
    bootstrap_intervals,
    holm,
    mean_over_stems,
    signed_rank,
)
from benchmark.tables.summary import groups_of
from models.tracks import STEMS

WORSE, BETTER, UNDECIDED = "worse", "better", "undecided"
Results = Mapping[TrackId, Mapping[str, Any]]


@dataclass(frozen=True)
class Difference:
    """B minus A in one stem, or in the mean of the stems.

    Attributes:
        stem: the stem, or MEAN.
        num_tracks: number of tracks with a finite score in both.
        first, second: A's and B's score over these tracks.
        value: mean or median of the tracks' differences, in the metric's unit.
        low, high: its 95 % bootstrap interval.
        p: that it does not exceed the margin: of the signed-rank test of the differences less the margin on the side of
            `value`, Holm-corrected over the stems.
        verdict: B is WORSE or BETTER than A by more than the margin: the interval lies beyond it and p is at most
            0.05; else UNDECIDED.
    """

    stem: str
    num_tracks: int
    first: float
    second: float
    value: float
    low: float
    high: float
    p: float
    verdict: str


@dataclass(frozen=True)
class Compared:
    """The comparison of A and B in one metric.

    Attributes:
        first, second: names of A and B.
        metric: the metric.
        margin: in its unit.
        together: the stems scored together; () for scores of whole tracks.
        differences: the mean of the stems first, if both have all four.
    """

    first: str
    second: str
    metric: Metric
    margin: float
    together: tuple[str, ...]
    differences: tuple[Difference, ...]

    @property
    def gate(self) -> Difference:
        """The difference that decides: of the mean of the stems, else of the first stem."""
        return self.differences[0]


def read_side(text: str) -> tuple[str, dict[str, dict[TrackId, dict[str, Any]]]]:
    """Read a side of the comparison, `DIR` or `DIR:SYSTEM`.

    Returns:
        The text, and {system: {track: result}}; of `DIR` all systems except the bounds.

    Raises:
        FileNotFoundError: there is no run.
        ValueError: the run has no such system, or no results.
    """
    folder, system = text, ""
    for index in (position for position, letter in enumerate(text) if letter == ":"):
        if (Path(text[:index]) / RECORD_FILE).is_file():
            folder, system = text[:index], text[index + 1 :]
            break
    out = Path(folder)
    record = read_record(out)
    found: dict[str, dict[TrackId, dict[str, Any]]] = {}
    for key in record.keys:
        result = read_result(result_path(out, key["system"], *track_id(key)), key)
        if result is not None and (key["system"] == system or not system and result["row"]["role"] != BOUND_ROLE):
            found.setdefault(key["system"], {})[track_id(key)] = without_frames(result)
    if not found:
        names = ", ".join(record.systems)
        raise ValueError(f"{text}: expected results of {system or 'a system'}, got none; the run has {names}")
    return text, found


def compare_sides(first: str, second: str, metric: str, margin: float) -> list[Compared]:
    """Compare `DIR` or `DIR:SYSTEM` with another; of two runs the systems of the same name.

    Raises:
        FileNotFoundError, ValueError: see `read_side`; the metric is unknown; or the sides have no pair of systems, no
            common track, other recordings of a track, or were not scored by the metric.
    """
    if metric not in METRICS:
        raise ValueError(f"--metric: expected one of {', '.join(METRICS)}, got {metric!r}")
    if not 0 <= margin < math.inf:
        raise ValueError(f"--margin: expected a number of at least 0, got {margin}")
    (text_a, systems_a), (text_b, systems_b) = read_side(first), read_side(second)
    if len(systems_a) == len(systems_b) == 1:
        pairs = [(next(iter(systems_a)), next(iter(systems_b)))]
    else:
        pairs = [(name, name) for name in systems_a if name in systems_b]
    if not pairs:
        raise ValueError(
            f"expected systems of the same name, got {', '.join(systems_a)} in {text_a} and {', '.join(systems_b)} in"
            f" {text_b}; name one of each, as DIR:SYSTEM"
        )
    if text_a == text_b:
        raise ValueError(f"expected two systems or two runs, got {text_a} twice; name systems, as DIR:SYSTEM")
    runs = len({text.removesuffix(f":{name}") for text, name in ((text_a, pairs[0][0]), (text_b, pairs[0][1]))}) > 1
    return [
        compare_results(
            f"{text_a.removesuffix(f':{one}')}:{one}" if runs else one,
            f"{text_b.removesuffix(f':{two}')}:{two}" if runs else two,
            systems_a[one],
            systems_b[two],
            METRICS[metric],
            margin,
        )
        for one, two in pairs
    ]


def compare_results(first: str, second: str, a: Results, b: Results, metric: Metric, margin: float) -> Compared:
    """Compare two systems' results, paired by track.

    Raises:
        ValueError: there is no common track or stem, or a track's recordings differ.
    """
    tracks = [track for track in a if track in b]
    if not tracks:
        raise ValueError(f"{first} and {second}: expected tracks that both have, got none")
    for track in tracks:
        if a[track]["key"].get("audio") != b[track]["key"].get("audio"):
            raise ValueError(f"{track[1]}: expected the same recording in both runs, got files of other content")
    pairs = [(groups_of(a[track]), groups_of(b[track])) for track in tracks]
    together = next(
        (
            group
            for group in pairs[0][0]
            if all(metric.name in groups.get(group, {}) for pair in pairs for groups in pair)
        ),
        None,
    )
    if together is None:
        raise ValueError(
            f"{first} and {second}: expected {metric.name} of the same stems in both on all tracks, got none;"
            f" `python -m benchmark score DIR --metrics {metric.name}` adds a metric to kept estimates"
        )
    scores = [[groups[together][metric.name] for groups in pair] for pair in pairs]
    stems = [stem for stem in scores[0][0] if stem in scores[0][1]]
    if not stems:
        raise ValueError(f"{first} and {second}: expected a stem that both have, got none")
    values = {stem: np.array([[side[stem] for side in pair] for pair in scores]).T for stem in stems}  # [2, tracks]
    if set(STEMS) <= set(stems):
        values = {MEAN: mean_over_stems(np.stack([values[stem] for stem in STEMS])), **values}
    found = [_difference(stem, sides, metric, margin) for stem, sides in values.items()]
    corrected = holm([difference.p for difference in found])
    judged = tuple(_judged(difference, p, metric, margin) for difference, p in zip(found, corrected, strict=True))
    return Compared(first, second, metric, margin, together, judged)


def _difference(stem: str, sides: np.ndarray, metric: Metric, margin: float) -> Difference:
    with np.errstate(invalid="ignore"):
        differences = sides[1] - sides[0]
    finite = np.isfinite(differences)
    sides, differences = sides[:, finite], differences[finite]
    (low, high), _ = bootstrap_intervals(differences[None], metric.over_tracks)
    first, second, value = (
        float(aggregate(part, metric.over_tracks)) if finite.any() else math.nan for part in (*sides, differences)
    )
    p = signed_rank(differences - math.copysign(margin, value)) if finite.any() else math.nan
    return Difference(stem, int(finite.sum()), first, second, value, low, high, p, UNDECIDED)


def _judged(difference: Difference, p: float, metric: Metric, margin: float) -> Difference:
    beyond = difference.low > margin or difference.high < -margin
    verdict = UNDECIDED
    if beyond and p <= 1 - LEVEL:
        verdict = BETTER if (difference.value > 0) == metric.higher_is_better else WORSE
    return Difference(**{**difference.__dict__, "p": p, "verdict": verdict})
