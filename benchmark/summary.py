"""What the scores of all tracks come to: a row for each system, with intervals, and the differences between systems."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.scoring import FRAME_MEDIANS, WHOLE_TRACK
from benchmark.statistics import Comparison, aggregate, bootstrap_intervals, compare
from benchmark.systems import MIXTURE, ORACLE
from models.tracks import STEMS

if TYPE_CHECKING:
    import pandas

ALL_STEMS = "all"
OVER_TRACKS = {name: "mean" if name == "sdr" else "median" for name in (*WHOLE_TRACK, *FRAME_MEDIANS)}
"""How each score is aggregated over tracks: the challenge takes the mean of the global SDR, museval medians."""
COMPARED = ("sdr", "csdr")


def scores_frame(results: Iterable[Mapping[str, Any]]) -> "pandas.DataFrame":
    """The scores in tidy form: system, track, stem, metric, value.

    Metrics, in dB for each stem: `sdr` and `si_sdr` of the whole track; `csdr`, `isr`, `sir` and `sar`, medians over
    its frames, NaN where all are. For the stems together (stem "all"): `nan_frames` and `num_frames`.
    """
    import pandas

    rows = []
    for result in results:
        system, track, scores = result["key"]["system"], result["key"]["track"], result["scores"]
        for metric in OVER_TRACKS:
            rows += [(system, track, stem, metric, scores[metric][stem]) for stem in scores["stems"]]
        rows += [(system, track, ALL_STEMS, metric, scores[metric]) for metric in ("nan_frames", "num_frames")]
    return pandas.DataFrame(rows, columns=["system", "track", "stem", "metric", "value"])


def summarise(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One system's row out of its results: scores for each stem and their mean, speed, memory.

    Returns:
        For each metric of OVER_TRACKS {stem: dB} over the tracks, "mean" included; `intervals`, the same with
        (low, high) in place of a value; and what else the tables say. The mean of
        the four stems is NaN unless the system has all four.
    """
    durations_s = [result["duration_s"] for result in results]
    separate_s = [result["separate_s"] for result in results]
    each = [result["scores"] for result in results]
    stems = each[0]["stems"]
    values: dict[str, dict[str, float]] = {}
    intervals: dict[str, dict[str, tuple[float, float]]] = {}
    four = [stems.index(stem) for stem in STEMS if stem in stems]
    for metric, how in OVER_TRACKS.items():
        table = np.array([[scores[metric][stem] for scores in each] for stem in stems])  # [S, tracks]
        found, spans = aggregate(table, how), bootstrap_intervals(table, how, averaged=four)
        values[metric], intervals[metric] = _over_stems(stems, found, spans)
    return {
        **results[0]["row"],
        "system": results[0]["key"]["system"],
        "stems": stems,
        "num_tracks": len(results),
        **values,
        "intervals": intervals,
        "nan_frames": sum(scores["nan_frames"] for scores in each),
        "num_frames": sum(scores["num_frames"] for scores in each),
        "real_time_median": statistics.median(s / d for s, d in zip(separate_s, durations_s, strict=True)),
        "real_time_total": sum(separate_s) / sum(durations_s),
        "cpu_total": sum(result["separate_cpu_s"] for result in results) / sum(durations_s),
        "audio_s": sum(durations_s),
        "separate_s": sum(separate_s),
        "score_s": sum(result["score_s"] for result in results),
        "peak_memory_bytes": max(result["peak_memory_bytes"] for result in results),
        "load_1min": statistics.median(result["load_1min"] for result in results),
        "jobs": max(result["jobs"] for result in results),
        "first_date": min(result["date"] for result in results),
        "last_date": max(result["date"] for result in results),
    }


def _over_stems(
    stems: Sequence[str], found: np.ndarray, intervals: Sequence[tuple[float, float]]
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Values and intervals by stem; those of STEMS that are missing, and then the mean, are NaN."""
    unknown = (math.nan, math.nan)
    values = dict.fromkeys(STEMS, math.nan) | dict(zip(stems, found.tolist(), strict=True))
    spans = dict.fromkeys(STEMS, unknown) | dict(zip(stems, intervals[:-1], strict=True))
    has_all = set(STEMS) <= set(stems)
    values["mean"] = statistics.fmean(values[stem] for stem in STEMS)
    spans["mean"] = intervals[-1] if has_all else unknown
    return values, spans


def comparisons(results: Iterable[Mapping[str, Any]]) -> list[Comparison]:
    """The differences between the systems, bounds left out, in global SDR and cSDR."""
    found: list[Comparison] = []
    results = [result for result in results if not _is_bound(result["key"]["system"])]
    for metric in COMPARED:
        scores: dict[str, dict[str, dict[str, float]]] = {}
        for result in results:
            by_stem = {stem: result["scores"][metric][stem] for stem in result["scores"]["stems"]}
            scores.setdefault(result["key"]["system"], {})[result["key"]["track"]] = by_stem
        found += compare(scores, metric, OVER_TRACKS[metric], STEMS)
    return found


def _is_bound(system: str) -> bool:
    return system.partition(":")[0] in (MIXTURE, ORACLE)


def summary_frame(rows: Iterable[Mapping[str, Any]]) -> "pandas.DataFrame":
    """What the rows say in tidy form: system, metric, stem, over_tracks, value, low, high, num_tracks."""
    import pandas

    columns = ["system", "metric", "stem", "over_tracks", "value", "low", "high", "num_tracks"]
    lines = [
        (row["system"], metric, stem, how, value, *row["intervals"][metric][stem], row["num_tracks"])
        for row in rows
        for metric, how in OVER_TRACKS.items()
        for stem, value in row[metric].items()
    ]
    return pandas.DataFrame(lines, columns=columns)


def comparisons_frame(found: Iterable[Comparison]) -> "pandas.DataFrame":
    """The comparisons in tidy form, their verdict last."""
    import pandas

    fields = list(Comparison.__dataclass_fields__)
    lines = [(*(getattr(comparison, field) for field in fields), comparison.verdict) for comparison in found]
    return pandas.DataFrame(lines, columns=[*fields, "verdict"])
