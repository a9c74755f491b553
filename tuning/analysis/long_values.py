"""Numbers for values that are too long for tables and charts, such as band specs."""

from collections.abc import Mapping

from tuning.space.grid import Grid
from tuning.space.ranges import is_range

LONGEST = 14
"""Characters of a value that stays as it is."""


def numbers_of(grid: Grid) -> dict[str, str]:
    """A name, ``#1``, ``#2`` and so on, for each long value of a grid, in the order of the grid."""
    values = dict.fromkeys(str(value) for choices in grid.values() for value in choices)
    long = [value for value in values if len(value) > LONGEST and not is_range(value)]
    return {value: f"#{number}" for number, value in enumerate(long, start=1)}


def shortened(text: str, numbers: Mapping[str, str]) -> str:
    """A text with the numbers instead of the values; the longest first, because one may hold another."""
    for value in sorted(numbers, key=len, reverse=True):
        text = text.replace(value, numbers[value])
    return text


def legend(numbers: Mapping[str, str]) -> list[str]:
    """What the numbers mean, as Markdown; nothing if there are none."""
    if not numbers:
        return []
    lines = [f"- {number}: `{value}`" for value, number in numbers.items()]
    return ["In tables and charts long values have numbers:\n\n" + "\n".join(lines)]
