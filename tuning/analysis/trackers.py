"""The trials of a search in the tools that people have: TensorBoard's HParams, and, if asked for, W&B or MLflow."""

import importlib
import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from models.running import atomic
from tuning.space.plan import Plan
from tuning.trials.records import FINISHED, read_rows, read_trials

HPARAMS = "hparams"
TRACKERS = ("wandb", "mlflow")
VALUES = ("sdr", "steps", "train_minutes", "wall_minutes", "rtf", "parameters", "gmacs_per_s")
"""Columns of ``trials.csv`` that are logged for a trial, beside the SDR of each stem."""

LogTrial = Callable[[str, dict[str, Any], dict[str, float], list[dict[str, float]]], None]
"""Takes a trial's name, its settings, its values, and its rows of metrics."""


def check_tracker(name: str | None) -> None:
    """Raise ValueError if a tracker is unknown or not installed; before a search starts."""
    if name is None:
        return
    if name not in TRACKERS:
        raise ValueError(f"--log: expected {' or '.join(TRACKERS)}, got {name!r}")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        raise ValueError(
            f"--log: {name} is not installed; install it (pip install {name}), or leave out --log"
        ) from None


def write_hparams(out: Path, table: pd.DataFrame, plan: Plan) -> None:
    """Write ``hparams/`` for TensorBoard: settings and values of each trial with a score."""
    from tensorboardX import SummaryWriter

    shutil.rmtree(out / HPARAMS, ignore_errors=True)
    for row in table[table.sdr.notna()].to_dict("records"):
        with SummaryWriter(str(out / HPARAMS / f"trial-{row['trial']:03d}")) as writer:
            writer.add_hparams(settings_of(row, plan), {f"search/{k}": v for k, v in values_of(row).items()}, name=".")


def log_trials(out: Path, table: pd.DataFrame, plan: Plan, tracker: str) -> int:
    """Log the finished trials that were not logged before; returns their number.

    What was logged is in ``logged-TRACKER.json``, so a resumed search or a second report logs nothing twice.
    """
    done_file = out / f"logged-{tracker}.json"
    done = json.loads(done_file.read_text()) if done_file.exists() else {}
    log = {"wandb": _wandb, "mlflow": _mlflow}[tracker](out.resolve().name)
    names = {trial.index: trial.name for trial in read_trials(out)}
    count = 0
    for row in table[table.status == FINISHED].to_dict("records"):
        name, stamp = names[row["trial"]], f"{row['steps']} steps"
        if done.get(name) == stamp:
            continue
        log(name, settings_of(row, plan), values_of(row), read_rows(out / name))
        done[name] = stamp
        atomic.write_json(done_file, done)
        count += 1
    return count


def settings_of(row: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """The varied settings of a trial and its seed; numbers as numbers."""
    return {**{key: _number(row[key]) for key in plan.grid}, "seed": row["seed"]}


def values_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The values of a trial that are known."""
    names = [*VALUES, *(name for name in row if name.startswith("valid_"))]
    found = {name: row[name] for name in names if name in row and not pd.isna(row[name])}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _wandb(search: str) -> LogTrial:
    wandb = importlib.import_module("wandb")

    def log(name: str, settings: dict[str, Any], values: dict[str, float], rows: list[dict[str, float]]) -> None:
        run = wandb.init(project="bandsplit", group=search, name=name, id=f"{search}-{name}", config=settings)
        for row in rows:
            run.log(row, step=int(row["step"]))
        run.summary.update(values)
        run.finish()

    return log


def _mlflow(search: str) -> LogTrial:
    mlflow = importlib.import_module("mlflow")

    def log(name: str, settings: dict[str, Any], values: dict[str, float], rows: list[dict[str, float]]) -> None:
        mlflow.set_experiment(search)
        with mlflow.start_run(run_name=name):
            mlflow.log_params(settings)
            for row in rows:
                mlflow.log_metrics(row, step=int(row["step"]))
            mlflow.log_metrics({f"end_{key}": value for key, value in values.items()})

    return log


def _number(text: Any) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
