"""The plan of a search, stored in its folder: a search can be resumed only with the same plan."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from models.presets.preset import Preset, preset_from_mapping
from models.presets.settings import read_yaml, to_mapping
from models.running import atomic
from models.running.arguments import check_at_least
from models.training.data.packs import Pack
from tuning.space.budget import Budget, parse_budget
from tuning.space.grid import Cell, Grid
from tuning.space.ranges import is_open, is_range

PLAN = "search.yaml"
SCHEDULERS, SEARCHES = ("fifo", "asha", "halving"), ("grid", "optuna")
OBJECTIVES = ("sdr", "gmacs")
MOST_RUNGS = 20


@dataclass(frozen=True)
class Plan:
    """All settings that determine the trials of a search and their comparison.

    Attributes:
        preset_name: as given.
        preset: the common preset of the cells, with ``--set``.
        grid: settings and their values.
        budget: of each trial.
        metric: ``mean`` or a stem.
        seeds: trials of each cell.
        scheduler: ``fifo``, ``asha`` or ``halving``.
        search: ``grid`` or ``optuna``.
        trials: number of trials for Optuna; 0 for a grid.
        validations: in each trial.
        device: where trials train.
        data: the tracks, see ``describe_pack``.
        arguments: of the command line that started the search.
        eta: of successive halving: one cell in so many goes on to a rung of so many times the budget.
        rungs: of successive halving; 0 for as many as leave at most ``eta`` cells.
        earlier: smaller budgets with which the search began.
        objectives: of Optuna: ``sdr``, or ``sdr`` and ``gmacs``.
    """

    preset_name: str
    preset: Preset
    grid: Grid
    budget: Budget
    metric: str
    seeds: int
    scheduler: str
    search: str
    trials: int
    validations: int
    device: str
    data: str
    arguments: tuple[str, ...]
    eta: int = 3
    rungs: int = 0
    earlier: tuple[str, ...] = ()
    objectives: tuple[str, ...] = ("sdr",)

    def __post_init__(self) -> None:
        """Check the values that can be checked without data.

        Raises:
            ValueError: a value is out of range; the message names the option.
        """
        for name in ("seeds", "validations"):
            check_at_least(name, getattr(self, name), 1)
        for name, known in (("scheduler", SCHEDULERS), ("search", SEARCHES)):
            if getattr(self, name) not in known:
                raise ValueError(f"--{name}: expected {_or(known)}, got {getattr(self, name)!r}")
        if self.search == "optuna" and (self.trials < self.seeds or self.trials % self.seeds):
            raise ValueError(f"--trials: expected a multiple of --seeds for --search optuna, got {self.trials}")
        if self.search == "grid" and self.is_open:
            raise ValueError("--grid: ranges expect --search optuna, which chooses values in them, got grid")
        if len(self.objectives) != len(set(self.objectives)) or set(self.objectives) not in ({"sdr"}, set(OBJECTIVES)):
            raise ValueError(f"--objectives: expected sdr or sdr,gmacs, got {','.join(self.objectives)}")
        if len(self.objectives) > 1 and self.search != "optuna":
            raise ValueError("--objectives: expected --search optuna for two; a grid trains all cells anyway")
        if self.search == "grid" and self.trials:
            raise ValueError(f"--trials: expected --search optuna, got grid and {self.trials} trials; leave it out")
        check_at_least("eta", self.eta, 2)
        check_at_least("rungs", self.rungs, 0)
        if self.rungs > MOST_RUNGS:
            raise ValueError(f"--rungs: expected at most {MOST_RUNGS}, got {self.rungs}")
        for name in ("eta", "rungs"):
            if self.scheduler != "halving" and getattr(self, name) != getattr(Plan, name):
                raise ValueError(f"--{name}: expected --scheduler halving, got {self.scheduler}; leave it out")
        if self.scheduler == "halving" and self.search != "grid":
            raise ValueError("--scheduler: halving expects --search grid, whose cells are known before it starts")
        if self.scheduler == "asha" and self.validations < 2:
            raise ValueError(f"--validations: expected at least 2 for --scheduler asha, got {self.validations}")

    @property
    def is_open(self) -> bool:
        """Whether a setting has a range, so that the cells cannot be listed."""
        return is_open(self.grid)

    @property
    def varied(self) -> list[str]:
        """The settings with more than one value."""
        return [key for key, values in self.grid.items() if len(values) > 1 or is_range(values[0])]

    @property
    def seed_numbers(self) -> range:
        """The seeds of each cell's trials."""
        return range(self.preset.train.seed, self.preset.train.seed + self.seeds)

    def check_metric(self, cells: Sequence[Cell]) -> None:
        """Raise ValueError if a cell's network does not separate the stem of the metric."""
        for cell in cells:
            if self.metric not in ("mean", *cell.preset.model.stems):
                known = ", ".join(("mean", *cell.preset.model.stems))
                raise ValueError(f"--metric: expected one of {known}, got {self.metric!r}")

    def save(self, out: Path) -> None:
        """Write the plan into the search's folder."""
        import yaml

        text = yaml.safe_dump(self._to_mapping(), sort_keys=False, width=120)
        atomic.write_text(out / PLAN, text)

    def check_same(self, earlier: "Plan", out: Path, option: str = "--resume") -> None:
        """Raise ValueError if the plan in a folder differs from this one."""
        mine, theirs = _flat(self._to_mapping()), _flat(earlier._to_mapping())
        for name in dict.fromkeys([*mine, *theirs]):
            if name != "arguments" and mine.get(name) != theirs.get(name):
                raise ValueError(
                    f"{option}: {name.replace('_', ' ')} was {theirs.get(name)!r} in {out} and is {mine.get(name)!r} "
                    "now; give the same search, or start one in another folder"
                )

    def _to_mapping(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        grid = {key: list(choices) for key, choices in self.grid.items()}
        arguments = list(self.arguments)
        return values | {
            "earlier": list(self.earlier),
            "objectives": list(self.objectives),
            "preset": to_mapping(self.preset),
            "grid": grid,
            "budget": str(self.budget),
            "arguments": arguments,
        }


def read_plan(out: Path) -> Plan:
    """Read the plan in a search's folder.

    Raises:
        FileNotFoundError: the folder holds no search.
        ValueError: the file is damaged.
    """
    if not (out / PLAN).is_file():
        raise FileNotFoundError(f"{out}: expected the folder of a search, got one without {PLAN}; name another")
    values = read_yaml(out / PLAN)
    try:
        values["preset"] = preset_from_mapping(values["preset"])
        values["grid"] = {key: tuple(choices) for key, choices in values["grid"].items()}
        values["budget"] = parse_budget(values["budget"])
        for name in ("arguments", "earlier", "objectives"):
            if name in values:
                values[name] = tuple(values[name])
        return Plan(**values)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{out / PLAN}: expected the plan of a search, got a damaged file ({error!r})") from None


def describe_pack(pack: Pack) -> str:
    """The number of tracks, and a digest of their names, splits and file names; the folder does not matter."""
    lines = sorted(f"{track.name}\t{track.split}\t{track.path.name}" for track in pack.tracks)
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
    return f"{len(pack.split('train'))} training and {len(pack.split('valid'))} validation tracks, {digest}"


def _or(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Nested settings as one mapping with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if name == "preset":
            sections = {section: inner for section, inner in value.items() if isinstance(inner, dict)}
            flat |= {f"{section}.{key}": each for section, inner in sections.items() for key, each in inner.items()}
            flat |= {key: each for key, each in value.items() if key not in sections}
        else:
            flat[name] = value
    return flat
