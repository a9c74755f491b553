"""A true grid on Ray Tune: every cell trains to the end of the same budget, in a process of its own."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.preset import Preset

PREFIX = "result/"
"""Marks the trainer's metrics among those that Ray adds to every report."""


@dataclass(frozen=True)
class Budget:
    """What each trial may spend: optimiser steps or minutes."""

    steps: int | None = None
    minutes: float | None = None

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read `steps=2000` or `minutes=10`.

        Raises:
            ValueError: anything else, or nothing to spend.
        """
        kind, _, amount = text.partition("=")
        try:
            budget = {"steps": lambda: cls(steps=int(amount)), "minutes": lambda: cls(minutes=float(amount))}[kind]()
        except (KeyError, ValueError):
            raise ValueError(f"--budget: expected steps=N or minutes=M, got {text!r}") from None
        if not 0 < (budget.steps or budget.minutes or 0) < math.inf:
            raise ValueError(f"--budget: expected a number above 0, got {text!r}")
        return budget


@dataclass(frozen=True)
class TrainTrial:
    """Trains one cell of a grid with this project's trainer, into `out/trial-000` and on."""

    presets: tuple[Preset, ...]
    data_roots: tuple[Path, ...]
    out: Path
    budget: Budget

    def __call__(self, index: int, report: Callable[[Mapping[str, Any]], None]) -> Mapping[str, Any]:
        """Train the cell `index`, reporting each validation; returns the trainer's summary."""
        from models.training.loop import train

        return train(
            self.presets[index],
            list(self.data_roots),
            self.out / f"trial-{index:03d}",
            max_minutes=self.budget.minutes,
            max_steps=self.budget.steps,
            on_validation=report,
        )


@dataclass(frozen=True)
class Outcome:
    """What became of one trial: the metrics that it reported last, and the error that ended it, if one did."""

    metrics: dict[str, Any]
    error: str | None


def run_trials(
    trial: Callable[[int, Callable[[Mapping[str, Any]], None]], Mapping[str, Any]],
    num_trials: int,
    out: Path,
    cpus_per_trial: int,
    gpus_per_trial: int,
) -> list[Outcome]:
    """Run trials 0 to num_trials - 1 on this machine, as many at once as its CPUs and GPUs allow.

    A trial that fails keeps what it reported before and does not stop the others.

    Raises:
        ValueError: this machine has fewer CPUs than one trial asks for.
    """
    num_cpus = os.cpu_count() or 1
    if not 1 <= cpus_per_trial <= num_cpus:
        raise ValueError(f"--cpus-per-trial: expected 1 to {num_cpus}, this machine's CPUs, got {cpus_per_trial}")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a token would be written to the home folder
    os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")  # else it may kill a trial for what others use
    import ray
    from ray import tune

    def train_cell(config: Mapping[str, int]) -> None:
        def report(metrics: Mapping[str, Any]) -> None:
            tune.report({PREFIX + name: value for name, value in metrics.items()})

        torch.set_num_threads(cpus_per_trial)
        report(trial(config["trial"], report))

    ray.init(num_cpus=num_cpus, include_dashboard=False, log_to_driver=False, object_store_memory=2**27)
    try:
        tuner = tune.Tuner(
            tune.with_resources(train_cell, {"cpu": cpus_per_trial, "gpu": gpus_per_trial}),
            param_space={"trial": tune.grid_search(list(range(num_trials)))},
            run_config=tune.RunConfig(name="ray", storage_path=str(out.resolve()), verbose=1),
        )
        results = {result.config["trial"]: result for result in tuner.fit() if result.config}
    finally:
        ray.shutdown()
    return [_outcome(results.get(index)) for index in range(num_trials)]


def _outcome(result: Any) -> Outcome:
    if result is None:
        return Outcome({}, "not run")
    metrics = {name.removeprefix(PREFIX): value for name, value in (result.metrics or {}).items() if PREFIX in name}
    cause = getattr(result.error, "cause", result.error)
    return Outcome(metrics, f"{type(cause).__name__}: {' '.join(str(cause).split())}" if cause else None)
