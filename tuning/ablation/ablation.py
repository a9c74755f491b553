"""Ablations: one change at a time to a preset, each trained on the same budget with the same seeds.

An ablation file lists the rows::

    preset: small
    init: checkpoints/small     # optional: every row begins with these weights
    set: {train.minutes: 4, train.clock: processor}
    rows:
      as it is: {}
      Adam: {train.optimizer: adam, train.lr: 0.001}
"""

import csv
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from models.presets.preset import Preset, load_preset
from models.presets.settings import override, read_yaml
from models.running.child_process import how_it_ended


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: the row's title in the table. The other rows are compared with the first row of a file.
        settings: dotted names and values that differ from the preset, including those of all rows.
        base: name of the preset.
        preset: the preset with the settings.
        init: the checkpoint that training begins with, or "".
    """

    name: str
    settings: dict[str, Any]
    base: str
    preset: Preset
    init: str

    @property
    def folder(self) -> str:
        """Name of the run folder of the row's first seed."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def seed_folder(self, number: int) -> str:
        """Name of the run folder of one of the row's seeds, counted from 0."""
        return f"{self.folder}.seed-{number}" if number else self.folder


@dataclass(frozen=True)
class Run:
    """The result of one seed of a row.

    Attributes:
        metrics: the last row of its metrics with a validation; empty if the run failed.
        error: why the run failed, else "".
    """

    metrics: dict[str, float] = field(default_factory=dict)
    error: str = ""


def read_ablation(path: Path) -> list[Row]:
    """The rows of an ablation file.

    Raises:
        ValueError: an unknown key or setting, a value out of range, no row, or two rows of one name.
        FileNotFoundError: no such file.
    """
    file = read_yaml(path)
    if unknown := sorted(set(file) - {"preset", "init", "set", "rows"}):
        raise ValueError(f"{path}: expected preset, init, set and rows, got {unknown[0]!r}")
    changes, name = file.get("rows"), file.get("preset", "small")
    if not isinstance(changes, dict) or not changes:
        raise ValueError(f"{path}: rows: expected one or more names with their settings, got {changes!r}")
    preset = load_preset(name)
    rows = []
    for title, own in changes.items():
        settings = {**file.get("set", {}), **(own or {})}
        rows.append(Row(str(title), settings, name, override(preset, settings), file.get("init", "")))
    folders = [row.folder for row in rows]
    if len(set(folders)) < len(folders) or "" in folders:
        raise ValueError(f"{path}: rows: expected different names, got {', '.join(map(str, changes))}")
    return rows


def train_rows(rows: Sequence[Row], data: Sequence[Path], out: Path, jobs: int, seeds: int) -> list[list[Run]]:
    """Train every row with every seed, each in a process of one thread; complete runs are kept, others are resumed.

    Args:
        rows: the rows that ``read_ablation`` returned.
        data: data folders or a pack.
        out: folder of the runs.
        jobs: how many at once.
        seeds: runs of each row, with the seeds ``train.seed``, ``train.seed + 1`` and so on.

    Returns:
        The runs of each row. A failed run has an error and does not affect the others.
    """
    tasks = [(row, number) for number in range(seeds) for row in rows]  # the first seed of all rows comes first
    bar = tqdm(total=len(tasks), desc="ablate", unit="run", file=sys.stderr, disable=None)

    def one(task: tuple[Row, int]) -> Run:
        row, number = task
        run = _train(row, number, data, out / row.seed_folder(number))
        if run.error:
            tqdm.write(f"{row.name}, seed {number}: {run.error}", file=sys.stderr)
        bar.update()
        return run

    with bar, ThreadPoolExecutor(jobs) as pool:
        runs = list(pool.map(one, tasks))
    return [runs[place :: len(rows)] for place in range(len(rows))]


def _train(row: Row, number: int, data: Sequence[Path], folder: Path) -> Run:
    settings = row.settings | ({"train.seed": row.preset.train.seed + number} if number else {})
    command = [sys.executable, "-m", "models", "train", "--preset", row.base, "--out", str(folder), "--threads", "1"]
    command += ["--data", *map(str, data)]
    for name, value in settings.items():
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        command += ["--set", f"{name}={text}"]
    if (folder / "last.pt").exists():
        command.append("--resume")
    elif row.init:
        command += ["--init", row.init]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode < 0:
        return Run(error=how_it_ended(done.returncode))
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}, no message"])[-1]
        return Run(error=last.removeprefix("error: "))
    with (folder / "metrics.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["valid_sdr"]]
    return Run({name: float(value) for name, value in lines[-1].items() if value})
