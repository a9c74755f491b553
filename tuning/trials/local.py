"""Runs trials in this process, one after another, without Ray: for machines on which Ray is not installed."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tuning.space.grid import format_overrides
from tuning.trials.order import Source
from tuning.trials.records import Outcome, Trial
from tuning.trials.trial import TrialRunner


def run_here(
    runner: TrialRunner,
    source: Source,
    progress: Callable[[Trial, float], None],
    ended: Callable[[Trial, Outcome], None],
) -> None:
    """Run all trials of a source.

    Args:
        runner: trains one trial.
        source: returns the trials.
        progress: called with the share of its budget that a trial has used.
        ended: called with the outcome of each trial.

    Raises:
        InterruptedError: Ctrl-C or a termination signal; the state is saved.
    """
    while trial := source.next():
        print(f"{trial.name}: {format_overrides(trial.overrides)} seed {trial.seed}", file=sys.stderr)

        def report(metrics: dict[str, Any], folder: Path, trial: Trial = trial) -> None:
            progress(trial, metrics["percent"] / 100)

        outcome = runner(trial, report)
        source.done(trial, outcome)
        ended(trial, outcome)
