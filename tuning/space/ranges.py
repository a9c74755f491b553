"""Settings that take any value of a range, and settings that count only under a condition.

A value of a grid that reads as follows stands for many::

    log 1e-4..1e-2            a number, by its logarithm
    float 0.05..0.5           a number
    int 4..12 step 2          a whole number
    choice adam|muon          one of these
    int 0..500 if train.schedule=linear     the same under a condition; else the preset's value
"""

import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Grid = dict[str, tuple[str, ...]]
"""Settings and their values, or a range of them, as text."""
FORM = re.compile(r"(log|float|int|choice)\s+(.+?)(?:\s+if\s+([\w.]+)=(\S+))?")
BOUNDS = re.compile(r"(\S+?)\s*\.\.\s*(\S+?)(?:\s+step\s+(\d+))?")
DIGITS = 4
"""Significant digits of a number; more make no difference to a training."""


@dataclass(frozen=True)
class Range:
    """The values of one setting.

    Attributes:
        kind: ``log``, ``float``, ``int`` or ``choice``.
        low, high: bounds, both included; 0 for ``choice``.
        step: of ``int``.
        choices: of ``choice``.
        condition: another setting and its value, without which this one keeps the preset's; None: always.
    """

    kind: str
    low: float = 0.0
    high: float = 0.0
    step: int = 1
    choices: tuple[str, ...] = ()
    condition: tuple[str, str] | None = None

    def applies(self, chosen: Mapping[str, str]) -> bool:
        """Whether the setting counts, by the values of those before it."""
        return self.condition is None or chosen.get(self.condition[0]) == self.condition[1]

    def text(self, value: float | str) -> str:
        """A value as in ``--set``, short, and never outside the bounds."""
        if isinstance(value, str):
            return value
        if self.kind == "int":
            return str(int(value))
        short = f"{value:.{DIGITS}g}"
        return short if self.low <= float(short) <= self.high else repr(float(value))

    def draw(self, rng: random.Random) -> str:
        """A random value."""
        if self.kind == "choice":
            return rng.choice(self.choices)
        if self.kind == "int":
            return str(rng.randrange(int(self.low), int(self.high) + 1, self.step))
        if self.kind == "log":
            return self.text(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))
        return self.text(rng.uniform(self.low, self.high))

    def ends(self) -> tuple[str, ...]:
        """The values that are checked before a search."""
        return self.choices or (self.text(self.low), self.text(self.high))

    def distribution(self) -> Any:
        """As Optuna's distribution."""
        from optuna import distributions

        if self.kind == "choice":
            return distributions.CategoricalDistribution(self.choices)
        if self.kind == "int":
            return distributions.IntDistribution(int(self.low), int(self.high), step=self.step)
        return distributions.FloatDistribution(self.low, self.high, log=self.kind == "log")

    def suggest(self, trial: Any, key: str) -> str:
        """Ask an Optuna trial for a value."""
        if self.kind == "choice":
            return str(trial.suggest_categorical(key, self.choices))
        if self.kind == "int":
            return self.text(trial.suggest_int(key, int(self.low), int(self.high), step=self.step))
        return self.text(trial.suggest_float(key, self.low, self.high, log=self.kind == "log"))

    def value(self, text: str) -> float | int | str:
        """A value's text as Optuna takes it."""
        return text if self.kind == "choice" else int(text) if self.kind == "int" else float(text)


def is_range(text: str) -> bool:
    """Whether a value of a grid stands for many."""
    return bool(FORM.fullmatch(text.strip()))


def is_open(grid: Grid) -> bool:
    """Whether a setting of a grid has a range, so that its cells cannot be listed."""
    return any(is_range(value) for values in grid.values() for value in values)


def ranges_of(grid: Grid) -> dict[str, Range]:
    """The values of each setting; conditional ones stand after those that they depend on.

    Raises:
        ValueError: an invalid range, or a condition on an unknown setting or value.
    """
    ranges = {}
    for key, values in grid.items():
        if len(values) > 1 and any(map(is_range, values)):
            raise ValueError(f"--grid: {key}: expected one range or several values, got {', '.join(values)}")
        ranges[key] = parse_range(key, values[0]) if is_range(values[0]) else Range("choice", choices=values)
    ordered = dict(sorted(ranges.items(), key=lambda item: item[1].condition is not None))
    for key, each in ordered.items():
        if each.condition is None:
            continue
        other, value = each.condition
        if other not in ranges or ranges[other].condition or value not in ranges[other].choices:
            raise ValueError(
                f"--grid: {key}: expected a condition on a value of another setting in the grid, got {other}={value}"
            )
    return ordered


def parse_range(key: str, text: str) -> Range:
    """Read the forms above.

    Raises:
        ValueError: bounds that are no numbers, do not rise, or are not above 0 for ``log``; a step of no ``int``; or a
            choice that is empty or given twice.
    """
    match = FORM.fullmatch(text.strip())
    assert match
    kind, body, *condition = match.groups()
    under = (condition[0], condition[1]) if condition[0] else None
    if kind == "choice":
        choices = tuple(part.strip() for part in body.split("|"))
        if not all(choices) or len(set(choices)) < len(choices):
            raise ValueError(f"--grid: {key}: expected different values such as 'choice adam|muon', got {text!r}")
        return Range(kind, choices=choices, condition=under)
    bounds = BOUNDS.fullmatch(body)
    try:
        low, high = (float(bounds[1]), float(bounds[2])) if bounds else (math.nan, math.nan)
    except ValueError:
        low = high = math.nan
    step = int(bounds[3]) if bounds and bounds[3] else 1
    whole = low.is_integer() and high.is_integer() and step if kind == "int" else not (bounds and bounds[3])
    if not (math.isfinite(low) and math.isfinite(high) and low < high and whole) or (kind == "log" and low <= 0):
        raise ValueError(
            f"--grid: {key}: expected LOW..HIGH that rise, above 0 for log, whole and perhaps with a step for int, "
            f"such as 'log 1e-4..1e-2' or 'int 4..12 step 2', got {text!r}"
        )
    if kind == "int":
        high -= (high - low) % step
    return Range(kind, low, high, step, (), under)


def draw(ranges: Mapping[str, Range], rng: random.Random) -> dict[str, str]:
    """Random settings."""
    chosen: dict[str, str] = {}
    for key, values in ranges.items():
        if values.applies(chosen):
            chosen[key] = values.draw(rng)
    return chosen
