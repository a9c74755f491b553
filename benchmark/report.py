"""The tables of a run: `scores.csv` for programs and `table.md` for people, made of the stored results alone."""

import math
import os
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.machine import processor
from models.tracks import STEMS

if TYPE_CHECKING:
    import pandas

    from benchmark.results import Failure, Settings

NO_VALUE = "–"
ALL_STEMS = "all"


def scores_frame(results: Iterable[dict[str, Any]]) -> "pandas.DataFrame":
    """The scores in tidy form: system, track, stem, metric, value.

    Metrics: `sdr` (global SDR of the track) and `csdr` (median over its frames) in dB for each stem, and `nan_frames`
    and `num_frames` for the stems together (stem "all"). A cSDR is NaN where all frames are.
    """
    import pandas

    rows = []
    for result in results:
        system, track, scores = result["key"]["system"], result["key"]["track"], result["scores"]
        for metric in ("sdr", "csdr"):
            rows += [(system, track, stem, metric, scores[metric][stem]) for stem in scores["stems"]]
        rows += [(system, track, ALL_STEMS, metric, scores[metric]) for metric in ("nan_frames", "num_frames")]
    return pandas.DataFrame(rows, columns=["system", "track", "stem", "metric", "value"])


def summarise(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One system's row out of its results: scores for each stem and their mean, speed, memory.

    The global SDR is the mean over tracks, the cSDR the median over tracks; the mean of the stems is NaN unless the
    system has all four.
    """
    stems = results[0]["scores"]["stems"]

    def over_stems(values: dict[str, float]) -> dict[str, float]:
        values = {stem: values.get(stem, math.nan) for stem in STEMS}
        return {**values, "mean": statistics.fmean(values.values())}

    def median(values: Iterable[float]) -> float:
        known = [value for value in values if not math.isnan(value)]
        return statistics.median(known) if known else math.nan

    each = [result["scores"] for result in results]
    durations_s = [result["duration_s"] for result in results]
    separate_s = [result["separate_s"] for result in results]
    return {
        **results[0]["row"],
        "system": results[0]["key"]["system"],
        "stems": stems,
        "num_tracks": len(results),
        "sdr": over_stems({stem: statistics.fmean(scores["sdr"][stem] for scores in each) for stem in stems}),
        "csdr": over_stems({stem: median(scores["csdr"][stem] for scores in each) for stem in stems}),
        "nan_frames": sum(scores["nan_frames"] for scores in each),
        "num_frames": sum(scores["num_frames"] for scores in each),
        "real_time_median": statistics.median(s / d for s, d in zip(separate_s, durations_s, strict=True)),
        "real_time_total": sum(separate_s) / sum(durations_s),
        "audio_s": sum(durations_s),
        "separate_s": sum(separate_s),
        "score_s": sum(result["score_s"] for result in results),
        "peak_memory_bytes": max(result["peak_memory_bytes"] for result in results),
        "load_1min": statistics.median(result["load_1min"] for result in results),
        "first_date": min(result["date"] for result in results),
        "last_date": max(result["date"] for result in results),
    }


def render(
    results: Sequence[dict[str, Any]],
    failures: "Sequence[Failure]",
    data: str,
    num_tracks: int,
    settings: "Settings",
) -> str:
    """The tables as Markdown: global SDR, cSDR and cost in blocks of their own, then notes and failures.

    Args:
        results: of every system, in the order of the rows.
        failures: what is missing from them.
        data: what the tracks are, in words.
        num_tracks: how many tracks were asked for.
        settings: under which they were measured.
    """
    systems = list(dict.fromkeys(result["key"]["system"] for result in results))
    rows = [summarise([result for result in results if result["key"]["system"] == system]) for system in systems]
    names = [
        row["label"] + ("" if row["num_tracks"] == num_tracks else f" [{row['num_tracks']} of {num_tracks} tracks]")
        for row in rows
    ]
    columns = (*STEMS, "mean")
    minutes = max((row["audio_s"] for row in rows), default=0) / 60
    dates = sorted({date[:10] for row in rows for date in (row["first_date"], row["last_date"])})
    lines = [
        f"Data: {data}, {num_tracks} track{'s' if num_tracks != 1 else ''} ({minutes:.1f} min). "
        f"Measured {' to '.join(dict.fromkeys([dates[0], dates[-1]])) if dates else 'nothing'} on "
        f"{processor()}, device {settings.device}, {settings.threads} threads.",
        "",
        "**Global SDR (dB)**, the challenge's score: ratio over a whole track, mean over tracks",
        "",
        *_table(
            ("system", *columns),
            [(name, *(_db(row["sdr"][column]) for column in columns)) for name, row in zip(names, rows, strict=True)],
        ),
        "",
        "**cSDR (dB)**, museval's SDR: median over frames of 1 s, then median over tracks",
        "",
        *_table(
            ("system", *columns, "NaN frames"),
            [
                (name, *(_db(row["csdr"][column]) for column in columns), f"{row['nan_frames']} of {row['num_frames']}")
                for name, row in zip(names, rows, strict=True)
            ],
        ),
        "",
        "**Cost**: real-time factor is separation time over audio duration; peak memory is the process's resident size"
        " while separating (Python, torch and the track included)",
        "",
        *_table(
            (
                "system",
                "RTF median",
                "RTF total",
                "peak MiB",
                "parameters",
                "separating s",
                "scoring s",
                "threads",
                "load 1 min",
                "checkpoint",
                "name in scores.csv",
            ),
            [
                (
                    name,
                    f"{row['real_time_median']:.3f}",
                    f"{row['real_time_total']:.3f}",
                    f"{row['peak_memory_bytes'] / 2**20:.0f}",
                    _millions(row["parameters"]),
                    f"{row['separate_s']:.1f}",
                    f"{row['score_s']:.1f}",
                    str(settings.threads),
                    f"{row['load_1min']:.1f}",
                    row["checkpoint"] or NO_VALUE,
                    row["system"],
                )
                for name, row in zip(names, rows, strict=True)
            ],
        ),
    ]
    notes = [f"- {row['label']}: {row['note']}" for row in rows if row["note"]]
    notes += [
        f"- {row['label']}: only {', '.join(row['stems'])} scored" for row in rows if len(row["stems"]) < len(STEMS)
    ]
    if notes:
        lines += ["", "Notes:", "", *notes]
    if failures:
        lines += ["", "**Failed**, not in the figures above:", ""]
        lines += [
            f"- {failure.system}, {failure.track or 'every track left'}: {failure.reason}" for failure in failures
        ]
    return "\n".join(lines) + "\n"


def write(
    out: Path,
    results: Sequence[dict[str, Any]],
    failures: "Sequence[Failure]",
    data: str,
    num_tracks: int,
    settings: "Settings",
) -> str:
    """Write `scores.csv` and `table.md` into a folder, each whole or not at all; returns the table."""
    table = render(results, failures, data, num_tracks, settings)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in (("scores.csv", scores_frame(results).to_csv(index=False)), ("table.md", table)):
        part = out / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        os.replace(part, out / name)
    return table


def _db(value: float) -> str:
    return NO_VALUE if math.isnan(value) else f"{value:.2f}"


def _millions(parameters: int | None) -> str:
    return NO_VALUE if not parameters else f"{parameters / 1e6:.2f} M"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table with padded columns, which reads well in a terminal too; all but the first align right."""
    cells = [tuple(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        return f"| {' | '.join(padded)} |"

    rule = f"| {'-' * widths[0]} | {' | '.join('-' * (width - 1) + ':' for width in widths[1:])} |"
    return [line(cells[0]), rule, *(line(row) for row in cells[1:])]
