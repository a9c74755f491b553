"""Grids over a preset: `model.hidden=64,128` and friends, multiplied out into checked cells."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.config import override
from models.preset import Preset


@dataclass(frozen=True)
class Cell:
    """One point of the grid: what it overrides, and the preset that this gives."""

    overrides: Mapping[str, str]
    preset: Preset

    @property
    def name(self) -> str:
        """The overrides in one line, `model.bands=v7 model.hidden=64`."""
        return format_overrides(self.overrides)


@dataclass(frozen=True)
class Rejection:
    """A combination that the preset refuses, and why."""

    overrides: Mapping[str, str]
    reason: str


def format_overrides(overrides: Mapping[str, str]) -> str:
    """Overrides in one line, as they are typed."""
    return " ".join(f"{key}={value}" for key, value in overrides.items())


def parse_grid(arguments: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read `key=value,value` arguments, one for each key.

    Values that hold commas themselves (band specs) are separated by semicolons: `model.bands=v7;100:1k,250:4k`.

    Raises:
        ValueError: an argument has no key or no value, or a key or a value comes twice.
    """
    grid: dict[str, tuple[str, ...]] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        values = tuple(value.strip() for value in text.split(";" if ";" in text else ","))
        if not key or not equals or not all(values):
            raise ValueError(f"--grid: expected key=value,value such as model.hidden=64,128, got {argument!r}")
        if len(set(values)) != len(values):
            raise ValueError(f"--grid: {key} has the same value twice in {text!r}")
        if key in grid:
            raise ValueError(f"--grid: {key} is given twice; write its values in one --grid")
        grid[key] = values
    return grid


def parse_budget(text: str) -> dict[str, str]:
    """Read `steps=2000` or `minutes=10` as the overrides that give every trial so much and no more.

    Raises:
        ValueError: anything else.
    """
    kind, _, amount = text.partition("=")
    if kind not in ("steps", "minutes") or not amount or set(amount) <= set("0."):
        raise ValueError(f"--budget: expected steps=N or minutes=M, above 0, got {text!r}")
    return {"train.minutes": "0", "train.patience": "0", f"train.{kind}": amount}


def expand(preset: Preset, grid: Mapping[str, Sequence[str]]) -> tuple[list[Cell], list[Rejection]]:
    """Every combination of the grid's values, as cells and as rejections with the preset's own reason.

    Raises:
        ValueError: no combination is valid (an unknown key, for example); the message is the first reason.
    """
    cells, rejections = [], []
    for values in itertools.product(*grid.values()):
        overrides = dict(zip(grid, values, strict=True))
        try:
            cells.append(Cell(overrides, override(preset, overrides)))
        except ValueError as error:
            rejections.append(Rejection(overrides, str(error)))
    if not cells:
        raise ValueError(f"--grid: none of the {len(rejections)} combinations is valid: {rejections[0].reason}")
    return cells, rejections
