"""What a search is, as its folder records it: a resumed one must be the same search."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from models.checkpoint import write_atomically
from models.config import read_yaml, to_mapping
from models.preset import Preset, preset_from_mapping
from models.training.data.packs import Pack
from tuning.budget import Budget, parse_budget
from tuning.space import Cell, Grid

PLAN = "search.yaml"
SCHEDULERS, SEARCHES = ("fifo", "asha"), ("grid", "optuna")


@dataclass(frozen=True)
class Plan:
    """Everything that decides what the trials of a search are and how they are compared.

    Attributes:
        preset_name: as given.
        preset: what the cells change, ``--set`` included.
        grid: settings and their values.
        budget: of each trial.
        metric: ``mean`` or a stem.
        seeds: trials of each cell.
        scheduler: ``fifo`` or ``asha``.
        search: ``grid`` or ``optuna``.
        trials: how many trials Optuna may have; 0 for a grid.
        validations: in each trial.
        device: where trials train.
        data: names and size of the tracks, see ``describe_pack``.
        arguments: of the command line that began it.
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

    def __post_init__(self) -> None:
        """Check what needs no data.

        Raises:
            ValueError: a value out of range, named as on the command line.
        """
        for name in ("seeds", "validations"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name}: expected at least 1, got {getattr(self, name)}")
        for name, known in (("scheduler", SCHEDULERS), ("search", SEARCHES)):
            if getattr(self, name) not in known:
                raise ValueError(f"--{name}: expected {' or '.join(known)}, got {getattr(self, name)!r}")
        if self.search == "optuna" and (self.trials < self.seeds or self.trials % self.seeds):
            raise ValueError(f"--trials: --search optuna needs how many, a multiple of --seeds, got {self.trials}")
        if self.search == "grid" and self.trials:
            raise ValueError("--trials: a grid has as many as it has cells and seeds; it goes with --search optuna")
        if self.scheduler == "asha" and self.validations < 2:
            raise ValueError("--validations: --scheduler asha compares trials on their way, give at least 2")

    @property
    def seed_numbers(self) -> range:
        """Of each cell's trials."""
        return range(self.preset.train.seed, self.preset.train.seed + self.seeds)

    def check_metric(self, cells: Sequence[Cell]) -> None:
        """Raise ValueError if a cell's network does not separate the stem that trials are compared by."""
        for cell in cells:
            if self.metric not in ("mean", *cell.preset.model.stems):
                known = ", ".join(("mean", *cell.preset.model.stems))
                raise ValueError(f"--metric: expected one of {known}, got {self.metric!r}")

    def save(self, out: Path) -> None:
        """Write it into the search's folder."""
        import yaml

        text = yaml.safe_dump(self._to_mapping(), sort_keys=False, width=120)
        write_atomically(out / PLAN, lambda path: path.write_text(text, encoding="utf-8"))

    def check_same(self, earlier: "Plan", out: Path) -> None:
        """Raise ValueError if the search in a folder is another one than this."""
        mine, theirs = _flat(self._to_mapping()), _flat(earlier._to_mapping())
        for name in dict.fromkeys([*mine, *theirs]):
            if name != "arguments" and mine.get(name) != theirs.get(name):
                raise ValueError(
                    f"--resume: {name.replace('_', ' ')} was {theirs.get(name)!r} in {out} and is {mine.get(name)!r} "
                    "now; resume with the same search, or start one in another folder"
                )

    def _to_mapping(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        grid = {key: list(choices) for key, choices in self.grid.items()}
        arguments = list(self.arguments)
        return values | {
            "preset": to_mapping(self.preset),
            "grid": grid,
            "budget": str(self.budget),
            "arguments": arguments,
        }


def read_plan(out: Path) -> Plan:
    """The search that a folder holds.

    Raises:
        FileNotFoundError: none.
        ValueError: a damaged file.
    """
    if not (out / PLAN).is_file():
        raise FileNotFoundError(f"{out}: expected the folder of a search, no {PLAN}")
    values = read_yaml(out / PLAN)
    try:
        values["preset"] = preset_from_mapping(values["preset"])
        values["grid"] = {key: tuple(choices) for key, choices in values["grid"].items()}
        values["budget"] = parse_budget(values["budget"])
        return Plan(**{**values, "arguments": tuple(values["arguments"])})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{out / PLAN}: not a search's file, or damaged ({error!r})") from None


def describe_pack(pack: Pack) -> str:
    """Which tracks these are, whatever folder they lie in: how many, and a digest of their names, splits and files."""
    lines = sorted(f"{track.name}\t{track.split}\t{track.path.name}" for track in pack.tracks)
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
    return f"{len(pack.split('train'))} training and {len(pack.split('valid'))} validation tracks, {digest}"


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Nested settings under dotted names, as they are typed."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if name == "preset":
            sections = {section: inner for section, inner in value.items() if isinstance(inner, dict)}
            flat |= {f"{section}.{key}": each for section, inner in sections.items() for key, each in inner.items()}
            flat |= {key: each for key, each in value.items() if key not in sections}
        else:
            flat[name] = value
    return flat
