"""Search spaces: settings and their values, from files and ``--grid``, combined into cells."""

import difflib
import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.bsrnn import parse_bands
from models.presets.preset import Preset
from models.presets.settings import override, read_yaml, typed
from tuning.space.band_split import SETTINGS, number, resolve
from tuning.space.budget import DECIDED
from tuning.space.ranges import Grid, draw, is_range, ranges_of

EXAMPLES = 16
"""Cells of a grid with ranges that are checked and shown before a search."""
SPACE_FOLDER = Path(__file__).parent / "spaces"


@dataclass(frozen=True)
class Cell:
    """One point of the grid: its overrides, and the preset with them."""

    overrides: Mapping[str, str]
    preset: Preset

    @property
    def name(self) -> str:
        """The overrides in one line, `model.bands=v7 model.hidden=64`."""
        return format_overrides(self.overrides)


@dataclass(frozen=True)
class Rejection:
    """An invalid combination, and the reason."""

    overrides: Mapping[str, str]
    reason: str


def format_overrides(overrides: Mapping[str, str]) -> str:
    """Overrides in one line, in the form of the command line."""
    return " ".join(f"{key}={value}" for key, value in overrides.items())


def parse_grid(arguments: Sequence[str]) -> Grid:
    """Read `key=value,value` arguments, one for each key.

    Values that hold commas themselves (band specs) are separated by semicolons: `model.bands=v7;100:1k,250:4k`.

    Raises:
        ValueError: an argument has no key or no value, or a key or a value is repeated.
    """
    grid: Grid = {}
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


def space_names() -> list[str]:
    """Names of the spaces in `spaces/`."""
    return sorted(path.stem for path in SPACE_FOLDER.glob("*.yaml"))


def read_space(name_or_path: str) -> Grid:
    """The grid of a space: its name in `spaces/`, or a YAML file of settings and lists of values.

    Raises:
        ValueError: no such space (the message gives the nearest name), or an invalid file.
        FileNotFoundError: no such file.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = SPACE_FOLDER / f"{name_or_path}.yaml"
        if name_or_path not in space_names():
            nearest = difflib.get_close_matches(name_or_path, space_names(), n=1, cutoff=0.0)
            raise ValueError(f"--space: no space {name_or_path!r}; did you mean {nearest[0]!r}? (or give a .yaml file)")
    grid: Grid = {}
    for key, values in read_yaml(path).items():
        if isinstance(values, str) and is_range(values):
            grid[str(key)] = (values,)
            continue
        if not isinstance(values, list) or not values:
            raise ValueError(f"{path}: {key}: expected a list of values or a range, got {values!r}")
        grid[str(key)] = tuple(_text(value) for value in values)
        if len(set(grid[str(key)])) != len(values):
            raise ValueError(f"{path}: {key} has the same value twice")
    return grid


def _text(value: Any) -> str:
    """A value of a YAML file in the form of ``--grid``."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def join_grids(spaces: Sequence[Grid], typed_grid: Grid) -> Grid:
    """All settings of several spaces and of ``--grid``; the values of ``--grid`` replace those of a space.

    Raises:
        ValueError: two spaces vary the same setting, or nothing is varied.
    """
    joined: Grid = {}
    for space in spaces:
        if both := sorted(set(joined) & set(space)):
            raise ValueError(f"--space: {both[0]} is varied by two spaces; choose its values with --grid")
        joined |= space
    joined |= typed_grid
    if not joined:
        raise ValueError("expected settings to vary, got none; add --space or --grid")
    return joined


def check_values(preset: Preset, grid: Grid) -> None:
    """Check each setting and each value alone: these errors are typing errors, not invalid combinations.

    Raises:
        ValueError: an unknown setting, a value of another type, an invalid band spec, or a setting that other options
            determine.
    """
    ranges = ranges_of(grid)
    for key in grid:
        if key in DECIDED:
            raise ValueError(f"--grid: expected another setting, got {key}, which --budget determines")
        if key == "train.seed":
            raise ValueError("--grid: expected another setting, got train.seed; use --seeds and --set train.seed=N")
        for value in ranges[key].ends():
            if key in SETTINGS:
                number(key, value)
            elif isinstance(typed(preset, {key: value}).get("model", {}).get("bands"), str):
                parse_bands(value)


def sample(preset: Preset, grid: Grid) -> tuple[list[Cell], list[Rejection]]:
    """Some random combinations of a grid with ranges, as ``expand`` gives all.

    Raises:
        ValueError: no combination is valid; the message gives the first reason.
    """
    rng, ranges = random.Random(0), ranges_of(grid)
    found: dict[str, tuple[list[Cell], list[Rejection]]] = {}
    for _ in range(EXAMPLES):
        one = {key: (value,) for key, value in draw(ranges, rng).items()}
        found.setdefault(repr(one), _sort_out(preset, one))
    cells = [cell for each, _ in found.values() for cell in each]
    rejections = [rejection for _, each in found.values() for rejection in each]
    if not cells:
        raise ValueError(f"--grid: none of {len(rejections)} random combinations is valid: {rejections[0].reason}")
    return cells, rejections


def expand(preset: Preset, grid: Mapping[str, Sequence[str]]) -> tuple[list[Cell], list[Rejection]]:
    """Every combination of the grid's values: the valid ones as cells, the others as rejections with the reason.

    Raises:
        ValueError: no combination is valid; the message gives the first reason.
    """
    cells, rejections = _sort_out(preset, grid)
    if not cells:
        raise ValueError(f"--grid: none of the {len(rejections)} combinations is valid: {rejections[0].reason}")
    return cells, rejections


def _sort_out(preset: Preset, grid: Mapping[str, Sequence[str]]) -> tuple[list[Cell], list[Rejection]]:
    cells, rejections = [], []
    for values in itertools.product(*grid.values()):
        overrides = dict(zip(grid, values, strict=True))
        try:
            cells.append(Cell(overrides, override(preset, resolve(overrides))))
        except ValueError as error:
            rejections.append(Rejection(overrides, str(error)))
    return cells, rejections
