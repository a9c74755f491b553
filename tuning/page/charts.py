"""The charts of a search's page, as SVG with a title on each mark."""

import html
import math
from collections.abc import Mapping, Sequence

import pandas as pd

from tuning.analysis.extrapolation import Curve
from tuning.analysis.long_values import numbers_of, shortened
from tuning.space.plan import Plan
from tuning.space.ranges import Range, ranges_of

WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 24, 44
COLOURS = 8
"""Classes ``c0`` to ``c7`` of the style sheet."""


class Axis:
    """Places values on a line of the page.

    Args:
        low, high: values at its ends.
        start, end: its ends, in units of the chart.
        is_log: whether it is logarithmic.
    """

    def __init__(self, low: float, high: float, start: float, end: float, is_log: bool = False) -> None:
        self.low, self.high, self.start, self.end, self.is_log = low, high, start, end, is_log

    def place(self, value: float) -> float:
        """Where a value stands; in the middle if all are alike."""
        low, high, at = map(math.log, (self.low, self.high, value)) if self.is_log else (self.low, self.high, value)
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Some round values inside."""
        if self.high <= self.low:
            return [self.low]
        if self.is_log:
            return [self.low, math.sqrt(self.low * self.high), self.high]
        step = 10 ** math.floor(math.log10(self.high - self.low))
        step = next(each for each in (step / 5, step / 2, step, 2 * step) if (self.high - self.low) / each <= 8)
        first = math.ceil(self.low / step)
        return [step * place for place in range(first, math.floor(self.high / step) + 1)]


def front_chart(cells: pd.DataFrame) -> str:
    """SDR of the cells against GMAC/s, the Pareto front as a line."""
    cost, value = cells["gmacs_per_s"], cells["mean"]
    x = Axis(cost.min(), cost.max(), LEFT + 10, WIDTH - RIGHT - 10, bool(cost.max() > 5 * cost.min()))
    y = Axis(value.min(), value.max(), HEIGHT - BOTTOM - 10, TOP + 10)
    parts = [*_frame(x, y, "GMAC per second of stereo audio", "validation SDR (dB)")]
    front = cells[cells.pareto].sort_values("gmacs_per_s")
    points = zip(front["gmacs_per_s"], front["mean"], strict=True)
    parts.append(_line([(x.place(c), y.place(v)) for c, v in points], "front", "Pareto front"))
    for name, cell in cells.iterrows():
        title = f"{name}: {cell['mean']:.2f} dB, {cell.gmacs_per_s:.2f} GMAC/s"
        kind = "c1" if cell.pareto else "c0"
        parts.append(_dot(x.place(cell.gmacs_per_s), y.place(cell["mean"]), kind, title))
    return _svg(parts, "SDR of each cell against its cost")


def curve_chart(curves: Sequence[Curve]) -> str:
    """Best SDR so far of every trial against the share of the budget; a colour for each cell."""
    values = [value for curve in curves for value in curve.values]
    x = Axis(0.0, 1.0, LEFT, WIDTH - RIGHT)
    y = Axis(min(values), max(values), HEIGHT - BOTTOM - 10, TOP + 10)
    parts = _frame(x, y, "share of the budget", "best validation SDR so far (dB)")
    cells = list(dict.fromkeys(curve.cell for curve in curves))
    for curve in curves:
        points = [(x.place(min(1.0, s)), y.place(v)) for s, v in zip(curve.shares, curve.values, strict=True)]
        colour = f"c{cells.index(curve.cell) % COLOURS}"
        title = f"trial {curve.trial}: {curve.cell}, {curve.values[-1]:.2f} dB at {curve.shares[-1]:.0%}"
        parts.append(_line(points, colour, title))
        parts.append(_dot(*points[-1], colour, title))
    return _svg(parts, "Learning curves of the trials")


def parallel_chart(cells: pd.DataFrame, plan: Plan) -> str:
    """Parallel coordinates: a line for each cell through its settings to its SDR; the best fifth is highlighted."""
    ranges, keys, numbers = ranges_of(plan.grid), plan.varied, numbers_of(plan.grid)
    places = [LEFT + 20 + place * (WIDTH - LEFT - RIGHT - 60) / len(keys) for place in range(len(keys) + 1)]
    value = Axis(cells["mean"].min(), cells["mean"].max(), HEIGHT - BOTTOM, TOP + 16)
    parts = []
    for key, place in zip([*keys, "SDR (dB)"], places, strict=True):
        parts.append(f'<line class="axis" x1="{place:.1f}" x2="{place:.1f}" y1="{TOP + 16}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(_text(place, TOP - 6, key.rpartition(".")[2], "middle"))
    for key, place in zip(keys, places, strict=False):
        parts += [_text(place + 5, at, text, "start") for text, at in _marks(ranges[key], numbers)]
    parts += [_text(places[-1] + 5, value.place(each), f"{each:.2f}", "start") for each in (value.low, value.high)]
    best = set(cells.index[: max(1, len(cells) // 5)])
    for name, cell in cells.iloc[::-1].iterrows():
        points = [(place, _place(ranges[key], str(cell[key]))) for key, place in zip(keys, places, strict=False)]
        line = [*points, (places[-1], value.place(cell["mean"]))]
        parts.append(_line(line, "best" if name in best else "other", f"{name}: {cell['mean']:.2f} dB"))
    return _svg(parts, "Settings and SDR of the cells")


def _marks(values: Range, numbers: Mapping[str, str]) -> list[tuple[str, float]]:
    return [(shortened(text, numbers), _place(values, text)) for text in values.ends()]


def _place(values: Range, text: str) -> float:
    """The height of a value on its axis; one that does not count stands below."""
    start, end = HEIGHT - BOTTOM, TOP + 16
    if values.kind == "choice":
        if text not in values.choices:
            return start + 14
        return Axis(0, len(values.choices) - 1, start, end).place(values.choices.index(text))
    try:
        number = float(text)
    except ValueError:
        return start + 14
    return Axis(values.low, values.high, start, end, values.kind == "log").place(number)


def _frame(x: Axis, y: Axis, below: str, beside: str) -> list[str]:
    parts = [
        f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"/>'
    ]
    parts += [_text(x.place(tick), HEIGHT - BOTTOM + 16, f"{tick:.3g}", "middle") for tick in x.ticks()]
    parts += [_text(LEFT - 6, y.place(tick) + 4, f"{tick:.3g}", "end") for tick in y.ticks()]
    return [
        *parts,
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, below, "middle"),
        _text(LEFT, TOP - 8, beside, "start"),
    ]


def _svg(parts: Sequence[str], label: str) -> str:
    body = "\n".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(label)}">\n{body}\n</svg>\n'


def _line(points: Sequence[tuple[float, float]], kind: str, title: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{path}"><title>{html.escape(title)}</title></polyline>'


def _dot(x: float, y: float, kind: str, title: str) -> str:
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{html.escape(title)}</title></circle>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'
