"""Band splits as numbers: how many bands, where the fine ones end, and how fast the widths grow above."""

import math
from collections.abc import Mapping
from typing import Any

from models.bsrnn.bands import MOST_BANDS

SETTINGS = {"bands.count": 28.0, "bands.edge_hz": 1000.0, "bands.ratio": 1.3}
"""Settings of a search, with the value of one that is not varied; together they make ``model.bands``."""
TOP_HZ = 20_000
"""Above it is one more band, as in the paper's splits."""
MOST_RATIO = 10


def band_split(count: int, edge_hz: float, ratio: float) -> str:
    """A band spec for ``model.bands``: equal bands up to an edge, then bands of growing width up to 20 kHz.

    Each band above the edge is ``ratio`` times as wide as the one below it. They fill the range exactly; of the ways to
    share the bands out between the two regions, that one is taken in which the widths go on most evenly at the edge.

    Args:
        count: of all bands, the one above 20 kHz included.
        edge_hz: end of the equal bands.
        ratio: of two widths; 1 for equal bands here too.

    Raises:
        ValueError: a value is out of range.
    """
    if not 3 <= count <= MOST_BANDS or not 0 < edge_hz < TOP_HZ or not 1 <= ratio <= MOST_RATIO:
        raise ValueError(
            f"bands: expected bands.count from 3 to {MOST_BANDS}, bands.edge_hz between 0 and {TOP_HZ} and bands.ratio "
            f"from 1 to {MOST_RATIO}, got {count:g}, {edge_hz:g} and {ratio:g}"
        )

    def step(num_fine: int) -> float:
        """How far the width changes at the edge by another factor than the ratio."""
        fine, first = edge_hz / num_fine, _widths(TOP_HZ - edge_hz, count - 1 - num_fine, ratio)[0]
        return max(first / (fine * ratio), fine * ratio / first) if first else math.inf

    num_fine = min(range(1, count - 1), key=step)
    width = max(1, round(edge_hz / num_fine))
    lower = width * num_fine
    parts, exact = [f"{width}:{lower}"], float(lower)
    for each in _widths(TOP_HZ - lower, count - 1 - num_fine, ratio):
        exact += each
        upper = round(exact)
        parts.append(f"{upper - lower}:{upper}")
        lower = upper
    return ",".join(parts)


def resolve(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a search as settings of a preset: those of a band split become ``model.bands``.

    Raises:
        ValueError: a value is out of range, or ``model.bands`` is given too.
    """
    given = {key: value for key, value in overrides.items() if key in SETTINGS}
    rest = {key: value for key, value in overrides.items() if key not in SETTINGS}
    if not given:
        return rest
    if "model.bands" in rest:
        raise ValueError("model.bands: expected it or bands.count, bands.edge_hz and bands.ratio, got both")
    values = {key: number(key, given.get(key, value)) for key, value in SETTINGS.items()}
    return {**rest, "model.bands": band_split(*_arguments(values))}


def number(key: str, value: Any) -> float:
    """The value of a setting of ``SETTINGS``.

    Raises:
        ValueError: not a number, or not a whole one for ``bands.count``.
    """
    try:
        found = float(value)
    except ValueError:
        found = float("nan")
    if not abs(found) < float("inf") or (key == "bands.count" and not found.is_integer()):
        raise ValueError(f"{key}: expected a {'whole ' if key == 'bands.count' else ''}number, got {value!r}")
    return found


def _arguments(values: Mapping[str, float]) -> tuple[int, float, float]:
    return int(values["bands.count"]), values["bands.edge_hz"], values["bands.ratio"]


def _widths(total: float, count: int, ratio: float) -> list[float]:
    """Widths that grow by a ratio and have a sum."""
    parts = [ratio ** (place - count) for place in range(count)]  # below 1: no overflow
    unit = total / sum(parts)
    return [unit * part for part in parts]
