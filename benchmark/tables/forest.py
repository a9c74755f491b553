"""A comparison as text for a terminal, and as a picture: a forest plot of differences with their intervals."""

import math
from collections.abc import Sequence
from pathlib import Path

from benchmark.tables.compare import BETTER, UNDECIDED, WORSE, Compared
from benchmark.tables.statistics import MEAN, MIN_TRACKS
from models.running import atomic


def describe(compared: Compared) -> str:
    """The comparison as text: a sentence, a table, and a forest plot of letters."""
    gate, unit = compared.gate, f" {compared.metric.unit}".rstrip()
    how = f"{gate.value:+.3f}{unit}"
    how += "" if math.isnan(gate.low) else f" [{gate.low:+.3f}, {gate.high:+.3f}]"
    verdict = "not decided to differ from" if gate.verdict == UNDECIDED else f"{gate.verdict} than"
    margin = f" by more than {compared.margin:g}{unit}" if compared.margin else ""
    stem = "mean of the stems" if gate.stem == MEAN else gate.stem
    lines = [
        f"{compared.second} is {verdict} {compared.first}{margin} in {compared.metric.title} ({stem}): {how},"
        f" {gate.num_tracks} tracks",
    ]
    if gate.num_tracks < MIN_TRACKS:
        lines.append(f"Fewer than {MIN_TRACKS} tracks: no interval, and nothing can be decided")
    lines += [
        f"{compared.metric.heading}; second minus first, {compared.metric.over_tracks} over tracks, 95 % interval",
        "",
    ]
    rows: list[tuple[str, ...]] = [("stem", "first", "second", "difference", "interval", "p", "verdict")]
    for difference in compared.differences:
        interval = "-" if math.isnan(difference.low) else f"{difference.low:+.3f} to {difference.high:+.3f}"
        p = "-" if math.isnan(difference.p) else f"{difference.p:.3f}" if difference.p >= 0.001 else "< 0.001"
        scores = (f"{value:.3f}" for value in (difference.first, difference.second))
        rows.append((difference.stem, *scores, f"{difference.value:+.3f}", interval, p, difference.verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", *forest_lines(compared)])


def forest_lines(compared: Compared, width: int = 61) -> list[str]:
    """A forest plot for a terminal: `o` is the difference, `---` its interval, `|` 0 and `:` the margin."""
    known = [d for d in compared.differences if math.isfinite(d.value)]
    ends = [abs(v) for d in known for v in (d.value, d.low, d.high) if math.isfinite(v)]
    reach = max([compared.margin, *ends, 1e-9]) * 1.1

    def column(value: float) -> int:
        return round((min(reach, max(-reach, value)) / reach + 1) / 2 * (width - 1))

    lines = []
    label = max((len(d.stem) for d in known), default=0)
    for difference in known:
        marks = [" "] * width
        if math.isfinite(difference.low):
            marks[column(difference.low) : column(difference.high) + 1] = "-" * (
                column(difference.high) + 1 - column(difference.low)
            )
        for place in {-compared.margin, compared.margin}:
            marks[column(place)] = ":"
        marks[column(0)] = "|"
        marks[column(difference.value)] = "o"
        lines.append(f"{difference.stem.ljust(label)}  {''.join(marks)}".rstrip())
    return [*lines, f"{' ' * label}  {f'{-reach:+.2f}'.ljust(width - 6)}{f'{reach:+.2f}'.rjust(6)}"]


def draw_forest(compared: Sequence[Compared], path: Path) -> None:
    """Write the forest plot as a picture; the ending of the name chooses svg, png or pdf.

    Raises:
        ValueError: the ending is another.
        OSError: it cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    if path.suffix not in (".svg", ".png", ".pdf"):
        raise ValueError(f"--plot {path}: expected a name ending in .svg, .png or .pdf")
    rows = [(one, difference) for one in compared for difference in one.differences if math.isfinite(difference.value)]
    figure, axes = pyplot.subplots(figsize=(7, 1.2 + 0.35 * len(rows)), layout="constrained")
    colours = {WORSE: "#b3261e", BETTER: "#1b6e3c", UNDECIDED: "#555555"}
    for place, (_, difference) in enumerate(rows):
        colour = colours[difference.verdict]
        axes.plot([difference.low, difference.high], [place, place], color=colour)
        axes.plot(difference.value, place, "s", color=colour)
    names = [f"{one.second} - {one.first}: {difference.stem}" for one, difference in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.invert_yaxis()
    margin, metric = compared[0].margin, compared[0].metric
    axes.axvspan(-margin, margin, color="#eeeeee", zorder=0)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel(f"{metric.heading}\ndifference with 95 % interval; grey: margin")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as part:
        figure.savefig(part, format=path.suffix[1:])
    pyplot.close(figure)
