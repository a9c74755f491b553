"""Plots as inline SVG: box plots of the tracks, and scores against cost.

Horizontal positions are percentages and vertical ones pixels, so that a plot fits any width and its text keeps its
size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.page.markup import escape

ROW_PX = 26
DOTS = 400
"""With more tracks than this, a box plot draws only the outliers as dots."""


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic axis.

    Attributes:
        low, high: its ends.
        ticks: the labelled values.
        is_log: whether equal steps are equal ratios.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    is_log: bool = False

    def share(self, value: float) -> float:
        """The position of a value: 0 at the low end, 1 at the high end; values outside are moved to the end."""
        low, high = self.low, self.high
        if self.is_log:
            value, low, high = math.log10(max(value, low)), math.log10(low), math.log10(high)
        return min(1.0, max(0.0, (value - low) / (high - low)))


def linear_scale(values: Sequence[float], num_ticks: int = 5) -> Scale:
    """An axis around values, with ends and ticks at round numbers."""
    low, high = (min(values), max(values)) if len(values) else (0.0, 1.0)
    if high - low < 1e-6:
        low, high = low - 1, high + 1
    rough = (high - low) / num_ticks
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(index * step, 10) for index in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], ticks)


def log_scale(values: Sequence[float]) -> Scale:
    """A logarithmic axis around positive values, with ticks at 1, 2 and 5 times powers of ten (or the powers alone)."""
    low, high = min(values) / 1.5, max(values) * 1.5
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if math.log10(high / low) < 2 else (1,)
    ticks = tuple(factor * 10.0**decade for decade in decades for factor in factors)
    return Scale(low, high, tuple(tick for tick in ticks if low <= tick <= high), is_log=True)


@dataclass(frozen=True)
class Box:
    """The values of a box plot: quartiles, and whiskers at the furthest values within 1.5 box lengths (Tukey)."""

    low: float
    lower: float
    median: float
    upper: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Box":
        """The box of some values, at least one."""
        lower, median, upper = (float(value) for value in np.percentile(values, (25, 50, 75)))
        reach = 1.5 * (upper - lower)
        inside = [value for value in values if lower - reach <= value <= upper + reach]
        return cls(min(inside), lower, median, upper, max(inside))


@dataclass(frozen=True)
class BoxRow:
    """A system's row in a box plot: `values` holds (track's index, its name, value), all finite."""

    label: str
    color: str
    values: Sequence[tuple[int, str, float]]


def box_plot(title: str, unit: str, rows: Sequence[BoxRow]) -> str:
    """A row for each system: box, whiskers, and a dot for each track, which opens it when it is clicked.

    The dots are a short way for the mouse; the table of all tracks has a link to each for everyone.
    """
    rows = [row for row in rows if row.values]
    boxes = [Box.of([value for *_, value in row.values]) for row in rows]
    scale = linear_scale([end for box in boxes for end in (box.low, box.high)])
    lines = [f'<figure class="chart"><figcaption>{escape(title)}</figcaption>']
    for row, box in zip(rows, boxes, strict=True):
        words = (
            f"{row.label}, {title}: median {box.median:.1f} {unit}, quartiles {box.lower:.1f} and {box.upper:.1f},"
            f" {len(row.values)} tracks"
        )
        lines.append(
            f'<div class="row {row.color}"><span class="name">{escape(row.label)}</span>'
            f'<svg class="box" height="{ROW_PX}" role="img" aria-label="{escape(words)}">'
            f"{_grid(scale, ROW_PX)}{_box(row, box, scale)}</svg></div>"
        )
    labels = "".join(tick_label(scale, tick, 12) for tick in scale.ticks)
    lines.append(f'<div class="row axis"><span class="name">{escape(unit)}</span><svg height="18">{labels}</svg></div>')
    return "".join(lines) + "</figure>\n"


def percent(share: float) -> str:
    """A share of a plot's width as a horizontal position."""
    return f"{2 + 96 * share:.2f}%"  # a margin, so that a dot at the end is not cut


def _grid(scale: Scale, height: int) -> str:
    return "".join(
        f'<line class="grid" x1="{percent(scale.share(tick))}" x2="{percent(scale.share(tick))}" y2="{height}"/>'
        for tick in scale.ticks
    )


def tick_label(scale: Scale, tick: float, y: int) -> str:
    """The label of a tick, at a height in pixels."""
    share = scale.share(tick)
    anchor = "start" if share < 0.03 else "end" if share > 0.97 else "middle"
    return f'<text x="{percent(share)}" y="{y}" text-anchor="{anchor}">{_short_number(tick)}</text>'


def _short_number(value: float) -> str:
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:g} {letter}"
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def _box(row: BoxRow, box: Box, scale: Scale) -> str:
    middle, half = ROW_PX / 2, 7
    low, lower, median, upper, high = (
        scale.share(value) for value in (box.low, box.lower, box.median, box.upper, box.high)
    )
    parts = [
        f'<line class="whisker" x1="{percent(low)}" x2="{percent(high)}" y1="{middle}" y2="{middle}"/>',
        f'<rect x="{percent(lower)}" y="{middle - half}" width="{96 * (upper - lower):.2f}%" height="{2 * half}"/>',
        f'<line class="median" x1="{percent(median)}" x2="{percent(median)}" y1="{middle - half}"'
        f' y2="{middle + half}"/>',
    ]
    for index, name, value in row.values:
        is_outlier = not box.low <= value <= box.high
        if len(row.values) > DOTS and not is_outlier:
            continue
        share = scale.share(value)
        beyond = " beyond" if not scale.low <= value <= scale.high else ""
        parts.append(
            f'<circle class="dot{beyond}" data-track="{index}" cx="{percent(share)}" cy="{middle}" r="2.5">'
            f"<title>{escape(name)}: {value:.2f} dB</title></circle>"
        )
    return "".join(parts)


@dataclass(frozen=True)
class Point:
    """A system in a scatter plot; `low` and `high` bound its interval."""

    label: str
    color: str
    x: float
    y: float
    low: float
    high: float


SCATTER_PX = 270


def scatter(title: str, x_title: str, y_title: str, points: Sequence[Point], bounds: Sequence[Point]) -> str:
    """Scores against a cost on a logarithmic axis; `bounds` have no cost and are horizontal lines."""
    if not points:
        return ""
    across = log_scale([point.x for point in points])
    down = linear_scale([value for point in points for value in (point.low, point.high, point.y)])
    drawn = [bound for bound in bounds if down.low <= bound.y <= down.high]

    def y(value: float) -> float:
        return SCATTER_PX - 34 - (SCATTER_PX - 72) * down.share(value)

    def x(share: float) -> str:
        return f"{10 + 86 * share:.2f}%"

    parts = [f'<text class="title" x="0" y="12">{escape(y_title)}</text>']
    for tick in down.ticks:
        parts.append(f'<line class="grid" x1="{x(0)}" x2="{x(1)}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text x="8%" y="{y(tick) + 4:.1f}" text-anchor="end">{_short_number(tick)}</text>')
    for tick in across.ticks:
        place = x(across.share(tick))
        parts.append(f'<line class="grid" x1="{place}" x2="{place}" y1="{y(down.high):.1f}" y2="{y(down.low):.1f}"/>')
        parts.append(f'<text x="{place}" y="{SCATTER_PX - 18}" text-anchor="middle">{_short_number(tick)}</text>')
    parts.append(f'<text class="title" x="{x(1)}" y="{SCATTER_PX - 3}" text-anchor="end">{escape(x_title)}</text>')
    for bound in drawn:
        parts.append(f'<line class="bound" x1="{x(0)}" x2="{x(1)}" y1="{y(bound.y):.1f}" y2="{y(bound.y):.1f}"/>')
        parts.append(f'<text class="bound" x="{x(0.01)}" y="{y(bound.y) - 4:.1f}">{escape(bound.label)}</text>')
    places = [(across.share(point.x), y(point.y)) for point in points]
    anchors = ["start" if share < 0.3 else "end" if share > 0.7 else "middle" for share, _ in places]
    label_heights = _label_heights(places, anchors, [point.label for point in points])
    for point, (share, _), anchor, label_y in zip(points, places, anchors, label_heights, strict=True):
        parts.append(
            f'<g class="{point.color}"><text class="label" x="{x(share)}" y="{label_y:.1f}" text-anchor="{anchor}">'
            f"{escape(point.label)}</text></g>"
        )
    for point, (share, height) in zip(points, places, strict=True):
        parts.append(
            f'<g class="{point.color}"><line class="whisker" x1="{x(share)}" x2="{x(share)}" y1="{y(point.low):.1f}"'
            f' y2="{y(point.high):.1f}"/><circle class="point" cx="{x(share)}" cy="{height:.1f}" r="5">'
            f"<title>{escape(point.label)}: {point.y:.2f} dB at {point.x:.3g}</title></circle></g>"
        )
    words = "; ".join(f"{point.label} {point.y:.2f} dB at {point.x:.3g}" for point in points)
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg class="scatter" height="{SCATTER_PX}" role="img" aria-label="{escape(f"{title}: {words}")}">'
        f"{''.join(parts)}</svg></figure>\n"
    )


NARROW_PX = 280
LETTER_PX, LINE_PX = 7, 14
"""Labels are placed for the narrowest plot and this size of a letter."""


def _label_heights(places: Sequence[tuple[float, float]], anchors: Sequence[str], labels: Sequence[str]) -> list[float]:
    """Heights of labels above or below their points (share across, height), without overlap if possible."""

    def span(share: float, anchor: str, label: str) -> tuple[float, float]:
        width = LETTER_PX * len(label)
        left = share * NARROW_PX - {"start": 0, "middle": width / 2, "end": width}[anchor]
        return left, left + width

    taken: list[tuple[float, float, float]] = []  # left, right, height of the base line
    heights = []
    for index, ((share, height), anchor, label) in enumerate(zip(places, anchors, labels, strict=True)):
        left, right = span(share, anchor, label)
        others = [(place[0] * NARROW_PX, place[1]) for number, place in enumerate(places) if number != index]

        def is_free(y: float, left: float = left, right: float = right, others: list = others) -> bool:
            on_label = any(left < end and start < right and abs(y - base) < LINE_PX for start, end, base in taken)
            on_point = any(left - 6 < x < right + 6 and y - LINE_PX < point < y + 6 for x, point in others)
            return not on_label and not on_point

        choices = [height + shift for lines in range(4) for shift in (-10 - lines * LINE_PX, 20 + lines * LINE_PX)]
        chosen = next((y for y in choices if is_free(y)), choices[0])
        taken.append((left, right, chosen))
        heights.append(chosen)
    return heights
