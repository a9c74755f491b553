"""A true grid on Ray Tune: every cell trains to the end of the same budget, in a process of its own."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.preset import Preset

Report = Callable[[dict[str, Any]], None]

PREFIX = "result/"
"""Marks the trainer's metrics among those that Ray adds to every report."""

COMPLETE = "complete"
"""Set in a trial's last report: without it the trial failed, or the search was stopped."""


@dataclass(frozen=True)
class TrainTrial:
    """Trains one cell of a grid with this project's trainer, into `out/trial-000` and on.

    Attributes:
        presets: of every cell, the budget in them.
        pack: folder of the decoded tracks.
        out: folder of the search, absolute: each trial has a working directory of its own.
        device: "cpu" or "cuda".
    """

    presets: tuple[Preset, ...]
    pack: Path
    out: Path
    device: str

    def __call__(self, index: int, report: Report) -> dict[str, Any]:
        """Train the cell `index`, reporting each validation; returns the last one and how the run ended."""
        from models.training.loop import train
        from models.training.packs import open_pack
        from models.training.world import World

        last: dict[str, Any] = {}

        def on_validation(row: dict[str, Any]) -> None:
            last.update(row)
            report(row)

        folder = self.out / f"trial-{index:03d}"
        world = World(device=self.device)
        result = train(self.presets[index], open_pack(self.pack), folder, world=world, on_validation=on_validation)
        if result.interrupted:
            raise InterruptedError(f"stopped after {result.steps} steps")
        return {**last, "step": result.steps, "minutes": result.minutes, "best_sdr": result.best_sdr}


@dataclass(frozen=True)
class Outcome:
    """What became of one trial.

    Attributes:
        metrics: what it reported last.
        status: "finished", "failed", or "stopped" (the search was interrupted before its end).
        error: what made it fail, else "".
    """

    metrics: dict[str, Any]
    status: str
    error: str = ""


def run_trials(
    trial: Callable[[int, Report], dict[str, Any]], num_trials: int, out: Path, cpus_per_trial: int, gpus_per_trial: int
) -> list[Outcome]:
    """Run trials 0 to num_trials - 1 on this machine, as many at once as its CPUs and GPUs allow.

    A trial that fails keeps what it reported before and does not stop the others.

    Args:
        trial: called with the trial's index and a function that takes metrics on the way; returns the last ones.
        num_trials: how many.
        out: where Ray keeps its records, in `out/ray`.
        cpus_per_trial: torch threads of one trial, at most this machine's CPUs.
        gpus_per_trial: GPUs of one trial.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a token would be written to the home folder
    os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")  # else it may kill a trial for what others use
    import ray
    from ray import tune

    def train_cell(config: Mapping[str, int]) -> None:
        def report(metrics: dict[str, Any]) -> None:
            tune.report({PREFIX + name: value for name, value in metrics.items()})

        torch.set_num_threads(cpus_per_trial)
        report({**trial(config["trial"], report), COMPLETE: True})

    ray.init(include_dashboard=False, log_to_driver=False, object_store_memory=2**27)
    try:
        tuner = tune.Tuner(
            tune.with_resources(train_cell, {"cpu": cpus_per_trial, "gpu": gpus_per_trial}),
            param_space={"trial": tune.grid_search(list(range(num_trials)))},
            run_config=tune.RunConfig(name="ray", storage_path=str(out.resolve()), verbose=1),
        )
        grid = tuner.fit()
        results = {(grid[i].config or {}).get("trial"): grid[i] for i in range(len(grid))}
    finally:
        ray.shutdown()
    return [_outcome(results.get(index)) for index in range(num_trials)]


def _outcome(result: Any) -> Outcome:
    reported = (result and result.metrics) or {}
    metrics = {name.removeprefix(PREFIX): value for name, value in reported.items() if name.startswith(PREFIX)}
    complete = metrics.pop(COMPLETE, False)
    if result and result.error:
        cause = getattr(result.error, "cause", result.error)
        return Outcome(metrics, "failed", f"{type(cause).__name__}: {' '.join(str(cause).split())}")
    return Outcome(metrics, "finished" if complete else "stopped")
