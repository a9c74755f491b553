"""Summarises the scores of all tracks: a row for each system, with intervals, and the differences between systems."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.provenance.weights import BOUND_ROLE
from benchmark.runs.store import track_id
from benchmark.scoring.metrics import METRICS, TOGETHER, WHOLE_TRACK
from benchmark.tables.statistics import MEAN, Column, Comparison, aggregate, bootstrap_intervals, compare, stem_mean
from models.tracks import STEMS

if TYPE_CHECKING:
    import pandas

ALL_STEMS = "all"
WHOLE: tuple[str, ...] = ()
"""In place of the stems that were scored together: a score of whole tracks does not depend on them."""
OVER_TRACKS = {name: metric.over_tracks for name, metric in METRICS.items()}
"""How each score is aggregated over tracks: the mean of the global SDR as in the challenge, medians as in museval."""
COMPARED = ("sdr", "csdr")
"""The metrics whose differences are in `table.md`; `comparisons.csv` has all."""


def groups_of(result: Mapping[str, Any]) -> dict[tuple[str, ...], dict[str, dict[str, float]]]:
    """A result's scores {stems scored together: {metric: {stem: value}}}; scores of whole tracks are under WHOLE."""
    scores = result["scores"]
    groups = {WHOLE: {metric: scores[metric] for metric in WHOLE_TRACK if metric in scores}}
    for group in scores["together"]:
        groups[tuple(group["stems"])] = {metric: group[metric] for metric in TOGETHER if metric in group}
    return groups


def scores_frame(results: Iterable[Mapping[str, Any]]) -> "pandas.DataFrame":
    """The scores in tidy form: system, split, track, together, stem, metric, value.

    The metrics of each stem are those of `scoring.metrics`, where units and directions are; those of TOGETHER are with
    the stems that were scored together ("vocals+accompaniment"). For each set of stems (stem "all"): `nan_frames` and
    `num_frames`.
    """
    import pandas

    rows = []
    for result in results:
        of_track = (result["key"]["system"], *track_id(result["key"]))
        for together, metrics in groups_of(result).items():
            joined = "+".join(together)
            rows += [
                (*of_track, joined, stem, metric, value)
                for metric, values in metrics.items()
                for stem, value in values.items()
            ]
        for group in result["scores"]["together"]:
            joined = "+".join(group["stems"])
            rows += [(*of_track, joined, ALL_STEMS, name, group[name]) for name in ("nan_frames", "num_frames")]
    return pandas.DataFrame(rows, columns=["system", "split", "track", "together", "stem", "metric", "value"])


def summarise(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One system's row from its results: scores for each stem and their mean, speed, memory and machine.

    Returns:
        `scores`: {stems scored together: {metric: {stem: dB}}} over the tracks; WHOLE for scores of whole tracks; with
        MEAN if all four stems are there. `intervals`: the same with (low, high) instead of a value. `frames`: {stems
        scored together: (NaN frames, frames)}. Further entries are those of the tables.
    """
    durations_s = [result["duration_s"] for result in results]
    separate_s = [result["separate_s"] for result in results]
    measured = [result["measured"] for result in results]
    each = [groups_of(result) for result in results]
    values: dict[tuple[str, ...], dict[str, dict[str, float]]] = {}
    intervals: dict[tuple[str, ...], dict[str, dict[str, tuple[float, float]]]] = {}
    for together, metrics in each[0].items():
        values[together], intervals[together] = {}, {}
        for metric, of_stems in metrics.items():
            if not all(metric in groups[together] for groups in each):  # not all of its tracks were scored by it
                continue
            stems = list(of_stems)
            table = np.array([[groups[together][metric][stem] for groups in each] for stem in stems])  # [S, tracks]
            four = [stems.index(stem) for stem in STEMS if stem in stems]
            found = dict(zip(stems, aggregate(table, OVER_TRACKS[metric]).tolist(), strict=True))
            spans = bootstrap_intervals(table, OVER_TRACKS[metric], averaged=four)
            has_mean = len(four) == len(STEMS)
            values[together][metric] = found | ({MEAN: stem_mean(found)} if has_mean else {})
            columns = [*stems, MEAN] if has_mean else stems
            intervals[together][metric] = dict(zip(columns, spans, strict=False))
    return {
        **results[0]["row"],
        "system": results[0]["key"]["system"],
        "stems": results[0]["scores"]["stems"],
        "num_tracks": len(results),
        "scores": values,
        "intervals": intervals,
        "frames": _frames(results),
        "real_time_median": statistics.median(s / d for s, d in zip(separate_s, durations_s, strict=True)),
        "real_time_total": sum(separate_s) / sum(durations_s),
        "cpu_total": sum(result["separate_cpu_s"] for result in results) / sum(durations_s),
        "audio_s": sum(durations_s),
        "separate_s": sum(separate_s),
        "score_s": sum(result["score_s"] for result in results),
        "peak_memory_bytes": max(result["peak_memory_bytes"] for result in results),
        "load_1min": statistics.median(each["load_1min"] for each in measured),
        "jobs": max(each["jobs"] for each in measured),
        "threads": sorted({each["threads"] for each in measured}),
        "machines": list(dict.fromkeys(each["machine"] for each in measured)),
        "commits": sorted({each["commit"] for each in measured} - {""}),
        "devices": sorted({result["key"]["device"] for result in results}),
        "first_date": min(each["date"] for each in measured),
        "last_date": max(each["date"] for each in measured),
    }


def _frames(results: Sequence[Mapping[str, Any]]) -> dict[tuple[str, ...], tuple[int, int]]:
    counts: dict[tuple[str, ...], tuple[int, int]] = {}
    for result in results:
        for group in result["scores"]["together"]:
            nan_frames, num_frames = counts.get(tuple(group["stems"]), (0, 0))
            counts[tuple(group["stems"])] = (nan_frames + group["nan_frames"], num_frames + group["num_frames"])
    return counts


def score_of(row: Mapping[str, Any], metric: str, stem: str, together: tuple[str, ...] = WHOLE) -> float:
    """A score of a row; NaN if it has none."""
    return row["scores"].get(together, {}).get(metric, {}).get(stem, math.nan)


def interval_of(
    row: Mapping[str, Any], metric: str, stem: str, together: tuple[str, ...] = WHOLE
) -> tuple[float, float]:
    """The 95 % interval of a score of a row; NaN if there is none."""
    return row["intervals"].get(together, {}).get(metric, {}).get(stem, (math.nan, math.nan))


def sets_of(rows: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """The sets of stems that were scored together by any system, all four first."""
    found = dict.fromkeys(together for row in rows for together in row["frames"])
    return sorted(found, key=lambda together: -len(together))


def measured_on(rows: Iterable[Mapping[str, Any]]) -> str:
    """Machines, devices, threads and commits of the rows' results, as text."""
    rows = list(rows)

    def different(name: str) -> list[Any]:
        return list(dict.fromkeys(value for row in rows for value in row[name]))

    threads = sorted(different("threads"))
    words = [
        " and ".join(different("machines")),
        f"device {' and '.join(different('devices'))}",
        f"{' and '.join(map(str, threads))} thread{'' if threads == [1] else 's'}",
    ]
    commits = different("commits")
    return ", ".join(words + ([f"commit {' and '.join(commits)}"] if commits else []))


def comparisons(results: Iterable[Mapping[str, Any]], metrics: Sequence[str] = COMPARED) -> list[Comparison]:
    """The differences between all systems except the bounds."""
    found: list[Comparison] = []
    results = [result for result in results if result["row"]["role"] != BOUND_ROLE]
    for metric in metrics:
        scores: dict[str, dict[Any, dict[Column, float]]] = {}
        for result in results:
            columns = {
                (stem, together): value
                for together, metrics in groups_of(result).items()
                for stem, value in metrics.get(metric, {}).items()
            }
            if columns:
                scores.setdefault(result["key"]["system"], {})[track_id(result["key"])] = columns
        found += compare(scores, metric, OVER_TRACKS[metric])
    return found


def summary_frame(rows: Iterable[Mapping[str, Any]]) -> "pandas.DataFrame":
    """The rows in tidy form, with each metric's unit and direction, and intervals of 95 %."""
    import pandas

    columns = ["system", "metric", "together", "stem", "over_tracks", "value", "low", "high", "num_tracks"]
    columns += ["unit", "direction"]
    lines = [
        (row["system"], metric, "+".join(together), stem, OVER_TRACKS[metric], value)
        + (*interval_of(row, metric, stem, together), row["num_tracks"])
        + (METRICS[metric].unit, METRICS[metric].direction)
        for row in rows
        for together, metrics in row["scores"].items()
        for metric, values in metrics.items()
        for stem, value in values.items()
    ]
    return pandas.DataFrame(lines, columns=columns)


def comparisons_frame(found: Iterable[Comparison]) -> "pandas.DataFrame":
    """The comparisons in tidy form; the last column is the verdict."""
    import pandas

    fields = list(Comparison.__dataclass_fields__)
    lines = [(*(getattr(comparison, field) for field in fields), comparison.verdict) for comparison in found]
    return pandas.DataFrame(lines, columns=[*fields, "verdict"])
