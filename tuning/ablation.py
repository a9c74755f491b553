"""Ablations: one change at a time to a preset, each trained on the same budget, in a table.

A file says what is varied::

    preset: small
    init: checkpoints/small     # optional: every row goes on from these weights
    set: {train.minutes: 4, train.clock: processor}
    rows:
      as it is: {}
      Adam: {train.optimizer: adam, train.lr: 0.001}
"""

import csv
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from models.config import override, read_yaml
from models.preset import Preset, load_preset


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what stands in the table; the first row of a file is what the others are compared with.
        settings: dotted names and values that differ from the preset, the common ones included.
        base: name of the preset.
        preset: what the settings make of it.
        init: the checkpoint to begin with, if any.
    """

    name: str
    settings: dict[str, Any]
    base: str
    preset: Preset
    init: str

    @property
    def folder(self) -> str:
        """Name of the row's run folder."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


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


def train_rows(rows: Sequence[Row], data: Sequence[Path], out: Path, jobs: int) -> list[dict[str, float]]:
    """Train every row in a process of one thread, ``jobs`` at once; rows that are complete are kept, others resumed.

    Args:
        rows: what ``read_ablation`` gave.
        data: data folders or a pack.
        out: folder of the runs.
        jobs: how many at once.

    Returns:
        The last validated line of each row's metrics.

    Raises:
        ValueError: a row failed; the message is its own.
    """
    bar = tqdm(total=len(rows), desc="ablate", unit="row", file=sys.stderr, disable=None)

    def one(row: Row) -> dict[str, float]:
        metrics = _train(row, data, out / row.folder)
        bar.update()
        return metrics

    with bar, ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, rows))


def _train(row: Row, data: Sequence[Path], folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "models", "train", "--preset", row.base, "--out", str(folder), "--threads", "1"]
    command += ["--data", *map(str, data)]
    for name, value in row.settings.items():
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        command += ["--set", f"{name}={text}"]
    if (folder / "last.pt").exists():
        command.append("--resume")
    elif row.init:
        command += ["--init", row.init]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"{row.name}: {last.removeprefix('error: ')}")
    with (folder / "metrics.csv").open() as file:
        rows = [line for line in csv.DictReader(file) if line["valid_sdr"]]
    return {name: float(value) for name, value in rows[-1].items() if value}


def ablation_table(rows: Sequence[Row], metrics: Sequence[Mapping[str, float]]) -> str:
    """Markdown: each row's steps, processor minutes, loss, validation SDR of the stems, mean, and gain on the first."""
    stems = [name for name in metrics[0] if name.startswith("valid_") and name != "valid_sdr"]
    titles = ["change", "steps", "processor minutes", "loss", *(name.removeprefix("valid_") for name in stems)]
    lines = ["| " + " | ".join([*titles, "mean", "gain"]) + " |", "|---|" + "---:|" * (len(titles) + 1)]
    for row, values in zip(rows, metrics, strict=True):
        cells = [row.name, f"{values['step']:.0f}", f"{values['cpu_minutes']:.1f}", f"{values['loss']:.3f}"]
        cells += [f"{values[name]:.2f}" if name in values else "" for name in stems]
        gain = f"{values['valid_sdr'] - metrics[0]['valid_sdr']:+.2f}" if row is not rows[0] else ""
        lines.append("| " + " | ".join([*cells, f"{values['valid_sdr']:.2f}", gain]) + " |")
    return "\n".join(lines) + "\n"
