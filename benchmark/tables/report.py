"""The tables of a run, from its stored results: `table.md` for readers and csv files for programs."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.scoring.accompaniment import PAIR
from benchmark.scoring.metrics import EXTRA, METRICS
from benchmark.tables.statistics import MEAN, MIN_TRACKS, Comparison
from benchmark.tables.summary import (
    COMPARED,
    WHOLE,
    comparisons,
    comparisons_frame,
    interval_of,
    measured_on,
    score_of,
    scores_frame,
    sets_of,
    summarise,
    summary_frame,
)
from models.running import atomic
from models.tracks import STEMS

if TYPE_CHECKING:
    from benchmark.runs.store import Failure

Row = Mapping[str, Any]
"""A system's row, as `summarise` returns it."""
NO_VALUE = "–"
VERDICTS = {"better": "better", "worse": "worse", "?": "not significant"}


def render(results: Sequence[dict[str, Any]], failures: "Sequence[Failure]", data: str, num_tracks: int) -> str:
    """The tables as Markdown: a block for each kind of score, for differences and for cost, then the systems.

    Args:
        results: of every system, in the order of the rows.
        failures: results that are missing, with the reason.
        data: description of the tracks.
        num_tracks: number of requested tracks.
    """
    return _render(_rows(results), comparisons(results), failures, data, num_tracks)


def write(
    out: Path, results: Sequence[dict[str, Any]], failures: "Sequence[Failure]", data: str, num_tracks: int
) -> str:
    """Write `table.md`, `scores.csv`, `summary.csv` and `comparisons.csv`; returns the table."""
    rows, found = _rows(results), comparisons(results, tuple(METRICS))
    table = _render(rows, found, failures, data, num_tracks)
    files = {
        "scores.csv": scores_frame(results).to_csv(index=False),
        "summary.csv": summary_frame(rows).to_csv(index=False),
        "comparisons.csv": comparisons_frame(found).to_csv(index=False),
        "table.md": table,
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        atomic.write_text(out / name, text)
    return table


def _rows(results: Sequence[dict[str, Any]]) -> list[Row]:
    by_system: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        by_system.setdefault(result["key"]["system"], []).append(result)
    return [summarise(group) for group in by_system.values()]


def _render(
    rows: Sequence[Row], found: Sequence[Comparison], failures: "Sequence[Failure]", data: str, num_tracks: int
) -> str:
    labels = [
        row["label"] + ("" if row["num_tracks"] == num_tracks else f" [{row['num_tracks']} of {num_tracks} tracks]")
        for row in rows
    ]
    labelled = list(zip(labels, rows, strict=True))
    minutes = max((row["audio_s"] for row in rows), default=0) / 60
    dates = sorted({date[:10] for row in rows for date in (row["first_date"], row["last_date"])})
    measured = f"{' to '.join(dict.fromkeys([dates[0], dates[-1]]))} on {measured_on(rows)}" if dates else "nothing"
    few = num_tracks < MIN_TRACKS
    lines = [
        f"Data: {data}, {num_tracks} track{'s' if num_tracks != 1 else ''} ({minutes:.1f} min). Measured {measured}. "
        + (
            f"Fewer than {MIN_TRACKS} tracks: no intervals, and no difference can be significant."
            if few
            else "In brackets: 95 % bootstrap intervals over tracks."
        ),
        "",
        "**Global SDR (dB)**, the challenge's score: ratio over a whole track, mean over tracks",
        "",
        *_scores_table("sdr", WHOLE, labelled),
        *_of_four([(label, row) for label, row in labelled if STEMS in row["scores"]]),
        *(line for together in sets_of(rows) if together != STEMS for line in _of_set(together, labelled)),
        *_of_each_stem(labelled),
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


def _scores_table(metric: str, together: tuple[str, ...], labelled: Sequence[tuple[str, Row]]) -> list[str]:
    """The scores of the four stems, of their mean, and of the rows' other stems."""
    extra = [stem for _, row in labelled for stem in row["scores"][together][metric] if stem not in (*STEMS, MEAN)]
    columns = (*STEMS, MEAN, *dict.fromkeys(extra))
    body = [(label, *(_db(row, metric, column, together) for column in columns)) for label, row in labelled]
    return _table(("system", *columns), body)


def _of_four(labelled: Sequence[tuple[str, Row]]) -> list[str]:
    """The scores of frames of the systems that have all four stems, scored together."""
    if not labelled:
        return []
    return [
        "",
        "**cSDR (dB)**, museval's SDR: median over frames of 1 s, then median over tracks; the four stems are scored"
        " together",
        "",
        *_scores_table("csdr", STEMS, labelled),
        "",
        "**Mean of the four stems (dB)**: SI-SDR and SI-SAR of whole tracks, and museval's ISR, SIR and SAR (medians"
        " over frames); medians over tracks",
        "",
        *_table(
            ("system", "SI-SDR", "SI-SAR", "ISR", "SIR", "SAR", "NaN frames"),
            [
                (
                    label,
                    _db(row, "si_sdr", MEAN),
                    *(_db(row, metric, MEAN, STEMS) for metric in ("si_sar", "isr", "sir", "sar")),
                    _nan_frames(row, STEMS),
                )
                for label, row in labelled
            ],
        ),
    ]


def _of_set(together: tuple[str, ...], labelled: Sequence[tuple[str, Row]]) -> list[str]:
    """The scores of frames of the systems that have this other set of stems."""
    joined = f"{', '.join(together[:-1])} and {together[-1]}" if len(together) > 1 else f"{together[0]} alone"
    title = f"{joined[0].upper()}{joined[1:]} (dB)"
    words = "scored as a pair in all systems" if together == PAIR else "of systems with these stems"
    metrics = {"csdr": "cSDR", "sir": "SIR", "sar": "SAR"}
    return [
        "",
        f"**{title}**, {words}: medians over frames, then over tracks",
        "",
        *_table(
            ("system", *(f"{stem} {name}" for stem in together for name in metrics.values()), "NaN frames"),
            [
                (
                    label,
                    *(
                        _db(row, metric, stem, together, with_interval=metric == "csdr")
                        for stem in together
                        for metric in metrics
                    ),
                    _nan_frames(row, together),
                )
                for label, row in labelled
                if together in row["scores"]
            ],
        ),
    ]


def _of_each_stem(labelled: Sequence[tuple[str, Row]]) -> list[str]:
    """A table for each metric of EXTRA that any system was scored by."""
    lines = []
    for metric in EXTRA:
        scored = [(label, row) for label, row in labelled if metric in row["scores"].get(WHOLE, {})]
        if scored:
            words = METRICS[metric]
            lines += ["", f"**{words.heading}**: {words.definition}", "", *_scores_table(metric, WHOLE, scored)]
    return lines


def _nan_frames(row: Row, together: tuple[str, ...]) -> str:
    nan_frames, num_frames = row["frames"][together]
    return f"{nan_frames} of {num_frames}"


def _differences(found: Sequence[Comparison]) -> list[str]:
    """The differences: in the mean of the stems if both systems have all of them, else in a stem of both."""
    pairs: dict[tuple[str, str], dict[str, Comparison]] = {}
    for comparison in found:  # the mean comes first
        if comparison.metric not in COMPARED:
            continue
        pairs.setdefault((comparison.first, comparison.second), {}).setdefault(comparison.metric, comparison)
    if not pairs:
        return []
    body = []
    for (first, second), metrics in pairs.items():
        shared = metrics["sdr"].stem
        cells = [f"{first} − {second}" + ("" if shared == MEAN else f" ({shared})")]
        for metric in COMPARED:
            compared = metrics.get(metric)
            if compared is None or compared.stem != shared:  # the systems have no common set with this stem
                cells += [NO_VALUE] * 3
                continue
            cells += [
                f"{compared.difference:+.2f}" + _interval((compared.low, compared.high), digits=2),
                compared.corrected or NO_VALUE,
                VERDICTS[compared.verdict],
            ]
        body.append(tuple(cells))
    return [
        "",
        "**Differences (dB)**, first system minus second, paired by track: mean of the global SDR's, median of the"
        " cSDR's. They are of the mean of the four stems; if one system has fewer, of a stem that both have, with its"
        " cSDR from the pair. p: Wilcoxon signed-rank test, Holm-corrected for all pairs and stems. Better or worse:"
        " the interval excludes 0 and p is at most 0.05. Each stem: `comparisons.csv`",
        "",
        *_table(("systems", "global SDR", "p", "first is", "cSDR", "p", "first is"), body),
    ]


def _cost(rows: Sequence[Row]) -> list[str]:
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
            ", ".join(map(str, row["threads"])),
        )
        for row in rows
    ]
    return [
        "",
        "**Cost** of separation. RTF: time over audio duration (median and total of the tracks, after a warm-up). CPU:"
        " processor time over audio duration. Peak: the largest resident memory of the process, with Python, torch and"
        " the track. GMAC/s: 10^9 multiply-accumulates for a second of audio. Load: of the machine in the last minute."
        " Threads: CPU threads during the measurement (scores do not depend on them)"
        + (f". {jobs} jobs ran at once, which makes times longer" if jobs > 1 else ""),
        "",
        *_table(
            ("system", "RTF median", "RTF total", "CPU", "peak MiB", "parameters", "GMAC/s", "load", "threads"), body
        ),
    ]


def _systems(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    lines = []
    several = len({machine for row in rows for machine in row["machines"]}) > 1
    for row in rows:
        parts = [row["label"], f"weights {row['checkpoint']}" if row["checkpoint"] else "", row["note"]]
        if several:
            parts.append(f"measured on {' and '.join(row['machines'])}")
        if not set(STEMS) <= set(row["stems"]):
            parts.append(f"only {', '.join(row['stems'])} scored")
        lines.append(f"- {row['system']}: {'; '.join(part for part in parts if part)}")
    return ["", "Systems:", "", *lines]


def _db(row: Row, metric: str, column: str, together: tuple[str, ...] = WHOLE, with_interval: bool = True) -> str:
    """A score with its interval, as text."""
    value = score_of(row, metric, column, together)
    if math.isnan(value):
        return NO_VALUE
    return f"{value:.2f}" + (_interval(interval_of(row, metric, column, together)) if with_interval else "")


def _interval(bounds: tuple[float, float], digits: int = 1) -> str:
    low, high = bounds
    return "" if math.isnan(low) else f" [{low:.{digits}f}, {high:.{digits}f}]"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table with padded columns, for reading in a terminal; all columns but the first align right."""
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
