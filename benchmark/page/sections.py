"""The page's sections without a script: tables and plots of a run, and published numbers."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from benchmark.page.charts import BoxRow, Point, box_plot, scatter
from benchmark.page.contents import METRICS, Contents, System
from benchmark.page.listening import EACH_END, ranking, track_score
from benchmark.page.markup import NO_VALUE, Cell, escape, mark_best, number, signed, table
from benchmark.provenance.weights import BOUND_ROLE
from benchmark.scoring import metrics
from benchmark.scoring.metrics import WHOLE_TRACK
from benchmark.tables.statistics import MEAN
from benchmark.tables.summary import WHOLE
from models.tracks import STEMS

PUBLISHED_FILE = Path(__file__).parents[1] / "tables/published.csv"
DEFINITIONS = {
    name: f"{metric.definition}; {', '.join(filter(None, (metric.unit, metric.direction)))}"
    for name, metric in metrics.METRICS.items()
}
SHOWN = ("sdr", "csdr")
"""The metrics whose tables are shown at once; the others are in a collapsed section."""


def results_section(contents: Contents) -> str:
    """A table for each metric; for scores of frames, one for each set of stems that were scored together.

    The mean comes first, and the rows begin with the best; the bounds stay at the end.
    """
    tables: dict[str, str] = {}
    for metric, name in METRICS.items():
        for together in [WHOLE] if metric in WHOLE_TRACK else contents.sets:
            stems = contents.stems if together == WHOLE else together
            columns = [stem for stem in STEMS if stem in stems]
            columns = [MEAN] * (len(columns) == len(STEMS)) + columns + [stem for stem in stems if stem not in STEMS]
            scored = [system for system in contents.systems if metric in system.row["scores"].get(together, {})]
            if not scored:
                continue
            scored.sort(key=lambda system: _rank(system, metric, columns, together))
            rows, foot = (
                [
                    [_name(system, contents), *(_score(system, metric, column, together) for column in columns)]
                    for system in scored
                    if (system.tone == BOUND_ROLE) == are_bounds
                ]
                for are_bounds in (False, True)
            )
            is_higher_better = metrics.METRICS[metric].higher_is_better
            title = f"{name}: {DEFINITIONS[metric]}{set_words(together)}"
            text = table(
                title,
                ["system", *columns],
                mark_best(rows, is_higher_better),
                foot=foot,
                sorted_by=1 if rows else None,
                is_descending=is_higher_better,
                tone="scores",
            )
            tables[metric] = tables.get(metric, "") + text
    others = [metric for metric in tables if metric not in SHOWN]
    return (
        "".join(tables[metric] for metric in SHOWN if metric in tables)
        + f"<details><summary>{escape(', '.join(METRICS[metric] for metric in others))}</summary>"
        + "".join(tables[metric] for metric in others)
        + "</details>\n"
    )


def _rank(system: System, metric: str, columns: Sequence[str], together: tuple[str, ...]) -> tuple[int, float]:
    """Sorts the best score in the first column first; systems without it follow by the next column, and so on."""
    for place, column in enumerate(columns):
        score = system.score(metric, column, together)
        if not math.isnan(score):
            return place, -score if metrics.METRICS[metric].higher_is_better else score
    return len(columns), 0.0


def set_words(together: tuple[str, ...]) -> str:
    """A text with the stems that were scored together; empty for scores of whole tracks."""
    if not together:
        return ""
    return f"; {together[0]} alone" if len(together) == 1 else f"; {' + '.join(together)} scored together"


def _score(system: System, metric: str, stem: str, together: tuple[str, ...]) -> Cell:
    low, high = system.interval(metric, stem, together)
    interval = "" if math.isnan(low) else f"{signed(low)} to {signed(high)}"
    return number(system.score(metric, stem, together), detail=interval)


def comparisons_section(contents: Contents) -> str:
    """The differences between the systems in global SDR: in the mean of the stems, or in each stem that both have."""
    shorts = {system.name: system.short for system in contents.systems}
    found = [comparison for comparison in contents.comparisons if comparison.metric == "sdr"]
    pairs = {(comparison.first, comparison.second) for comparison in found if comparison.stem == MEAN}
    rows = []
    for comparison in found:
        if comparison.stem != MEAN and (comparison.first, comparison.second) in pairs:
            continue
        interval = "" if math.isnan(comparison.low) else f"{signed(comparison.low)} to {signed(comparison.high)}"
        verdict = {"?": "not significant"}.get(comparison.verdict, comparison.verdict)
        rows.append(
            [
                Cell(shorts[comparison.first], shorts[comparison.first]),
                Cell(shorts[comparison.second], shorts[comparison.second]),
                Cell(comparison.stem, comparison.stem),
                number(comparison.difference, detail=interval),
                Cell(comparison.corrected, comparison.p_holm) if comparison.corrected else Cell(NO_VALUE),
                Cell(verdict, verdict),
                number(comparison.num_tracks, 0),
            ]
        )
    if not rows:
        return ""
    caption = (
        "Differences in global SDR (dB) on the same tracks, with 95 % interval and the p of the Wilcoxon signed-rank"
        " test, Holm-corrected; better or worse only if both are significant"
    )
    columns = ["system", "than", "stem", "difference", "p", "verdict", "tracks"]
    return table(caption, columns, rows, (0, 1, 2, 5))


def _name(system: System, contents: Contents) -> Cell:
    num_tracks = len(contents.record.tracks)
    partial = [] if len(system.results) == num_tracks else [f"{len(system.results)} of {num_tracks} tracks"]
    detail = ", ".join([system.remark] * bool(system.remark) + partial)
    return Cell(system.short, system.label, detail, tone=system.tone)


def distribution_section(contents: Contents) -> str:
    """A box plot of the tracks' global SDR for each stem."""
    index = {track: number for number, track in enumerate(contents.tracks)}
    plots = []
    for stem in contents.stems:
        rows = []
        for system in contents.systems:
            values = [(index[track], track, value) for track, value in system.values("sdr", stem).items()]
            rows.append(BoxRow(system.short, system.color, values))
        plots.append(box_plot(stem, "dB", rows))
    return f'<div class="charts">{"".join(plots)}</div>'


def cost_section(contents: Contents) -> str:
    """Scores against real-time factor and parameters, and the table of costs."""
    plots = []
    for stem in (MEAN, "vocals"):
        axis = "mean over four stems" if stem == MEAN else stem
        for cost, words in (
            ("real_time_median", "real-time factor: separation time over duration"),
            ("gmacs_per_second", "GMAC/s: 10^9 multiply-accumulates for a second of audio"),
            ("parameters", "parameters"),
        ):
            title = f"{axis} against {words.partition(':')[0]}"
            plots.append(
                scatter(
                    title,
                    words,
                    "global SDR (dB)",
                    _points(contents, stem, cost),
                    _bounds(contents, stem),
                )
            )
    rows = [
        [
            _name(system, contents),
            number(system.row["real_time_median"], 3),
            number(system.row["peak_memory_bytes"] / 2**20, 0),
            number((system.row["parameters"] or 0) / 1e6 or None, 2),
            number(system.row.get("gmacs_per_second"), 1),
            number(system.row["separate_s"], 1),
            Cell(system.row["checkpoint"] or NO_VALUE, system.row["checkpoint"] or None),
            Cell(system.name, system.name),
        ]
        for system in contents.systems
    ]
    columns = [
        "system",
        "real-time factor",
        "peak memory, MiB",
        "parameters, M",
        "GMAC/s",
        "separating, s",
        "checkpoint",
        "name in scores.csv",
    ]
    costs = table(
        "Cost: real-time factor is the median over tracks; memory is the whole process", columns, rows, (0, 6, 7)
    )
    return f'<div class="charts">{"".join(plots)}</div>{costs}'


def _points(contents: Contents, stem: str, cost: str) -> list[Point]:
    points = []
    for system in contents.systems:
        score, (low, high) = system.score("sdr", stem), system.interval("sdr", stem)
        if math.isnan(low):
            low = high = score
        if system.tone != BOUND_ROLE and math.isfinite(score) and (system.row.get(cost) or 0) > 0:
            points.append(Point(system.short, system.color, system.row[cost], score, low, high))
    return points


def _bounds(contents: Contents, stem: str) -> list[Point]:
    bounds = [(system, system.score("sdr", stem)) for system in contents.systems if system.tone == BOUND_ROLE]
    return [
        Point(system.short, system.color, 0, score, score, score) for system, score in bounds if math.isfinite(score)
    ]


def extremes_section(contents: Contents) -> str:
    """The worst and the best tracks of each of our systems, as links."""
    index = {track: number for number, track in enumerate(contents.tracks)}
    lists = []
    for system in contents.ours:
        names = ranking(system.results)
        count = min(EACH_END, len(names) // 2 or 1)
        for title, chosen in (("worst", names[:count]), ("best", names[::-1][:count])):
            items = "".join(
                f'<li><a href="#track-{index[name]}">{escape(name)}</a> '
                f"<span>{track_score(system.results[name]):.1f} dB</span></li>"
                for name in chosen
            )
            lists.append(f"<div><h3>{escape(system.short)}: {title}</h3><ol>{items}</ol></div>")
    return f'<div class="extremes">{"".join(lists)}</div>'


def tracks_table(contents: Contents, audible: Sequence[str]) -> str:
    """Every track's global SDR, mean over its stems; the script can replace it by other scores."""
    rows = []
    for index, track in enumerate(contents.tracks):
        cells = [
            Cell(
                track,
                track,
                "with audio" if track in audible and len(audible) < len(contents.tracks) else "",
                f"#track-{index}",
            )
        ]
        for system in contents.systems:
            cells.append(number(system.values("sdr", MEAN).get(track)))
        rows.append(cells)
    return table("All tracks: global SDR (dB), mean over stems", ["track", *(s.short for s in contents.systems)], rows)


def read_published(path: Path = PUBLISHED_FILE) -> list[dict[str, str]]:
    """The published numbers, by the names of their columns.

    The multiply-accumulates are not published: they are counts of ``models/macs.py`` at the published sizes, of all
    networks that the four stems need, for stereo; empty where the size is not known.
    """
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def published_section(rows: Sequence[dict[str, str]]) -> str:
    """Published numbers: the table, with metric, data set, extra training data and source, and a plot against cost."""
    columns = [MEAN, *STEMS]
    cells = [
        [
            Cell(row["model"], row["model"]),
            Cell(row["metric"], row["metric"]),
            *(number(float(row[column])) for column in columns),
            number(float(row["gmacs_per_second"]) if row["gmacs_per_second"] else None, 1),
            Cell(row["data_set"], row["data_set"]),
            Cell(row["extra_data"], row["extra_data"]),
            Cell(row["source"].split("://")[1], row["source"], link=row["source"]),
        ]
        for row in rows
    ]
    heads = ["model", "metric", *columns, "GMAC/s", "data set", "extra data", "source"]
    points = [
        Point(f"{row['model']}, {row['metric']}", "bounds", cost, mean, mean, mean)
        for row in rows
        if row["gmacs_per_second"]
        for cost, mean in [(float(row["gmacs_per_second"]), float(row[MEAN]))]
    ]
    plot = scatter(
        "published: mean of whole songs against GMAC/s; not to be compared with excerpts",
        "GMAC/s, counted by us at the published sizes",
        "SDR (dB)",
        points,
        [],
    )
    numbers = table("Published numbers (dB), not measured here", heads, cells, (0, 1, 8, 9, 10))
    return f'<div class="charts">{plot}</div>{numbers}'
