"""The tables of a run: `table.md` for people and csv files for programs, made of the stored results alone."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.machine import processor
from benchmark.statistics import MIN_TRACKS, Comparison
from benchmark.summary import comparisons, comparisons_frame, scores_frame, summarise, summary_frame
from models.tracks import STEMS

if TYPE_CHECKING:
    from benchmark.results import Failure, Settings

NO_VALUE = "–"
VERDICTS = {"better": "better", "worse": "worse", "?": "can't tell"}


def render(
    results: Sequence[dict[str, Any]],
    failures: "Sequence[Failure]",
    data: str,
    num_tracks: int,
    settings: "Settings",
) -> str:
    """The tables as Markdown: each kind of score, differences and cost in blocks of their own, then the systems.

    Args:
        results: of every system, in the order of the rows.
        failures: what is missing from them.
        data: what the tracks are, in words.
        num_tracks: how many tracks were asked for.
        settings: under which they were measured.
    """
    return _render(_rows(results), comparisons(results), failures, data, num_tracks, settings)


def write(
    out: Path,
    results: Sequence[dict[str, Any]],
    failures: "Sequence[Failure]",
    data: str,
    num_tracks: int,
    settings: "Settings",
) -> str:
    """Write `table.md`, `scores.csv`, `summary.csv`, `comparisons.csv`, whole or not at all; returns the table."""
    rows, found = _rows(results), comparisons(results)
    table = _render(rows, found, failures, data, num_tracks, settings)
    files = {
        "scores.csv": scores_frame(results).to_csv(index=False),
        "summary.csv": summary_frame(rows).to_csv(index=False),
        "comparisons.csv": comparisons_frame(found).to_csv(index=False),
        "table.md": table,
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        part = out / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        os.replace(part, out / name)
    return table


def _rows(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    by_system: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        by_system.setdefault(result["key"]["system"], []).append(result)
    return [summarise(group) for group in by_system.values()]


def _render(
    rows: Sequence[Mapping[str, Any]],
    found: Sequence[Comparison],
    failures: "Sequence[Failure]",
    data: str,
    num_tracks: int,
    settings: "Settings",
) -> str:
    labels = [
        row["label"] + ("" if row["num_tracks"] == num_tracks else f" [{row['num_tracks']} of {num_tracks} tracks]")
        for row in rows
    ]
    minutes = max((row["audio_s"] for row in rows), default=0) / 60
    dates = sorted({date[:10] for row in rows for date in (row["first_date"], row["last_date"])})
    measured = " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else "nothing"
    few = num_tracks < MIN_TRACKS
    lines = [
        f"Data: {data}, {num_tracks} track{'s' if num_tracks != 1 else ''} ({minutes:.1f} min). Measured {measured} on "
        f"{processor()}, device {settings.device}, {settings.threads} threads. "
        + (
            f"Fewer than {MIN_TRACKS} tracks: no intervals, and no system can be called better."
            if few
            else "In brackets: 95 % bootstrap intervals over tracks."
        ),
        "",
        "**Global SDR (dB)**, the challenge's score: ratio over a whole track, mean over tracks",
        "",
        *_scores_table("sdr", labels, rows),
        "",
        "**cSDR (dB)**, museval's SDR: median over frames of 1 s, then median over tracks",
        "",
        *_scores_table("csdr", labels, rows),
        "",
        "**Mean of the four stems (dB)**: SI-SDR of whole tracks, and museval's ISR, SIR and SAR (medians over frames);"
        " medians over tracks",
        "",
        *_table(
            ("system", "SI-SDR", "ISR", "SIR", "SAR", "NaN frames"),
            [
                (
                    label,
                    *(_db(row, metric, "mean") for metric in ("si_sdr", "isr", "sir", "sar")),
                    f"{row['nan_frames']} of {row['num_frames']}",
                )
                for label, row in zip(labels, rows, strict=True)
            ],
        ),
        *([] if few else _differences(found)),
        *_cost(rows),
        *_systems(rows),
    ]
    if failures:
        lines += ["", "**Failed**, not in the figures above:", ""]
        lines += [
            f"- {failure.system}, {failure.track or 'every track left'}: {failure.reason}" for failure in failures
        ]
    return "\n".join(lines) + "\n"


def _scores_table(metric: str, labels: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    extra = [stem for row in rows for stem in row["stems"] if stem not in STEMS]
    columns = (*STEMS, "mean", *dict.fromkeys(extra))
    body = [(label, *(_db(row, metric, column) for column in columns)) for label, row in zip(labels, rows, strict=True)]
    return _table(("system", *columns), body)


def _differences(found: Sequence[Comparison]) -> list[str]:
    """The mean of the stems where two systems have all of them, else the stem that they share."""
    pairs: dict[tuple[str, str], dict[str, Comparison]] = {}
    for comparison in found:  # the mean comes first
        pairs.setdefault((comparison.first, comparison.second), {}).setdefault(comparison.metric, comparison)
    if not pairs:
        return []
    body = []
    for (first, second), metrics in pairs.items():
        shared = metrics["sdr"].stem
        cells = [f"{first} − {second}" + ("" if shared == "mean" else f" ({shared})")]
        for comparison in metrics.values():
            cells += [
                f"{comparison.difference:+.2f}" + _interval((comparison.low, comparison.high), digits=2),
                comparison.corrected or NO_VALUE,
                VERDICTS[comparison.verdict],
            ]
        body.append(tuple(cells))
    return [
        "",
        "**Differences (dB)**, mean of the four stems, paired by track, first minus second: mean of the global SDR's,"
        " median of the cSDR's; p: Wilcoxon signed-rank test, Holm-corrected for all pairs and stems. Better or worse"
        " only where the interval leaves out 0 and p is at most 0.05; stem by stem in `comparisons.csv`",
        "",
        *_table(("systems", "global SDR", "p", "first is", "cSDR", "p", "first is"), body),
    ]


def _cost(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    jobs = max((row["jobs"] for row in rows), default=1)
    body = [
        (
            row["system"],
            f"{row['real_time_median']:.3f}",
            f"{row['real_time_total']:.3f}",
            f"{row['cpu_total']:.3f}",
            f"{row['peak_memory_bytes'] / 2**20:.0f}",
            f"{row['parameters'] / 1e6:.2f} M" if row["parameters"] else NO_VALUE,
            f"{row['gmacs_per_second']:.1f}" if row["gmacs_per_second"] else NO_VALUE,
            f"{row['load_1min']:.1f}",
        )
        for row in rows
    ]
    return [
        "",
        "**Cost** of separating: RTF is time over audio duration (median and total of the tracks, after a warm-up), CPU"
        " processor time over audio duration, peak memory the process's resident size (Python, torch and the track"
        " included), GMAC/s multiply-accumulates for a second of audio, load that of the machine in the last minute"
        + (f". {jobs} ran at once: times are longer than those of one alone" if jobs > 1 else ""),
        "",
        *_table(("system", "RTF median", "RTF total", "CPU", "peak MiB", "parameters", "GMAC/s", "load"), body),
    ]


def _systems(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    lines = []
    for row in rows:
        parts = [row["label"], f"weights {row['checkpoint']}" if row["checkpoint"] else "", row["note"]]
        if not set(STEMS) <= set(row["stems"]):
            parts.append(f"only {', '.join(row['stems'])} scored")
        lines.append(f"- {row['system']}: {'; '.join(part for part in parts if part)}")
    return ["", "Systems:", "", *lines]


def _db(row: Mapping[str, Any], metric: str, column: str) -> str:
    """A score and its interval."""
    value = row[metric].get(column, math.nan)
    return NO_VALUE if math.isnan(value) else f"{value:.2f}" + _interval(row["intervals"][metric][column])


def _interval(bounds: tuple[float, float], digits: int = 1) -> str:
    low, high = bounds
    return "" if math.isnan(low) else f" [{low:.{digits}f}, {high:.{digits}f}]"


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
