"""Trials on Ray Tune: on this machine or on a running cluster, each in its own process.

The description and the outcome of a trial are in its folder, not in Ray's records. So a killed search can go on in a
new Ray session, on another cluster, or without Ray.
"""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from models.running.ray_session import machines, ray_session
from tuning.space.grid import format_overrides
from tuning.trials.exchange import PACK, Exchange, open_exchange
from tuning.trials.order import Source
from tuning.trials.records import (
    FAILED,
    STOPPED,
    UNFINISHED,
    Outcome,
    Trial,
    best_row,
    read_outcome,
    read_trials,
    write_outcome,
)
from tuning.trials.trial import TrialRunner

TABLE_EVERY_S = 30
ASHA_FACTOR = 3
"""ASHA's reduction factor: at each of its comparisons one trial in three continues."""

Progress = Callable[[Trial, float], None]
"""Takes the share of its budget that a trial has used."""


@dataclass(frozen=True)
class RaySettings:
    """What a search asks of Ray.

    Attributes:
        address: of a running cluster, ``auto`` for the one on this machine; None starts one that ends with the search.
        cpus: of each trial.
        gpus: of each trial; a fraction shares one.
        concurrent: most trials at once; 0 leaves it to CPUs and GPUs.
        retries: how often a trial whose worker died is taken up again.
        asha: whether trials that do worse than others at the same share of their budget are stopped.
        storage: where data and trials are exchanged, if the machines do not share a disk, see ``Exchange``; None: they
            share the folders of the pack and of the search.
    """

    address: str | None
    cpus: int
    gpus: float
    concurrent: int
    retries: int
    asha: bool
    storage: str | None = None


def run_on_ray(
    runner: TrialRunner,
    source: Source,
    settings: RaySettings,
    progress: Progress,
    ended: Callable[[Trial, Outcome], None],
) -> None:
    """Run all trials of a source; trials that Ctrl-C interrupts keep their state.

    Args:
        runner: trains one trial, in a worker.
        source: returns the trials.
        settings: of Ray.
        progress: called at each validation of a trial.
        ended: called with the outcome of each trial.

    Raises:
        ValueError: no cluster at the address, one without enough CPUs or GPUs for a trial, or an unusable storage.
    """
    exchange = open_exchange(settings.storage, runner.out) if settings.storage else None
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the old output takes a table of our columns
    os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
    with ray_session(settings.address) as ray:
        _check_resources(machines(ray), settings)
        from ray import tune

        if exchange and not exchange.has(PACK):
            exchange.send(runner.pack, PACK)
        if threading.current_thread() is threading.main_thread():  # after Ray's own: Tune ends well at Ctrl-C alone
            signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))

        tuner = tune.Tuner(
            tune.with_resources(_trainable(runner, exchange), {"cpu": settings.cpus, "gpu": settings.gpus}),
            tune_config=tune.TuneConfig(
                metric="sdr",
                mode="max",
                search_alg=_searcher(source, runner, exchange),
                num_samples=source.num_trials,
                max_concurrent_trials=settings.concurrent or None,
                scheduler=_asha(runner.validations) if settings.asha else None,
                trial_name_creator=_ray_name,
                trial_dirname_creator=_ray_name,
            ),
            run_config=tune.RunConfig(
                name="ray",
                storage_path=exchange.ray_path() if exchange else str(_empty(runner.out / "ray").parent),
                verbose=1,
                progress_reporter=_table(),
                failure_config=tune.FailureConfig(max_failures=settings.retries),
                checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
                callbacks=[_callback(runner, source, progress, ended, exchange)],
            ),
        )
        try:
            tuner.fit()
        finally:
            for trial in read_trials(runner.out) if exchange else []:
                if exchange and read_outcome(runner.out / trial.name).status == UNFINISHED:
                    exchange.receive(trial.name, runner.out / trial.name)


def _empty(folder: Path) -> Path:
    """Remove Ray's records of an earlier call; the trials' folders hold everything that is needed."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _check_resources(nodes: Sequence[Mapping[str, float]], settings: RaySettings) -> None:
    """Raise ValueError if no node can run a trial: Ray would wait for one for ever."""
    if not any(node.get("CPU", 0) >= settings.cpus and node.get("GPU", 0) >= settings.gpus for node in nodes):
        cpus = max((node.get("CPU", 0) for node in nodes), default=0)
        gpus = max((node.get("GPU", 0) for node in nodes), default=0)
        raise ValueError(
            f"--cpus-per-trial, --gpus-per-trial: no machine has {settings.cpus} CPUs and {settings.gpus:g} GPUs "
            f"for a trial; the largest have {cpus:g} and {gpus:g}"
        )


def _ray_name(ray_trial: Any) -> str:
    """The name of a trial, and the amount at which it pauses: to Ray, each part is a trial of its own."""
    trial = Trial(**ray_trial.config["trial"])
    return trial.name if trial.until is None else f"{trial.name}-to-{trial.until:g}"


def _trainable(runner: TrialRunner, exchange: Exchange | None) -> Callable[[Mapping[str, Any]], None]:
    def train_from_storage(config: Mapping[str, Any]) -> None:
        from ray import tune

        assert exchange
        trial = Trial(**config["trial"])
        here = replace(runner, pack=exchange.pack(), out=exchange.local_folder() / "trials")
        exchange.receive(trial.name, here.out / trial.name)

        def report(metrics: dict[str, Any], folder: Path) -> None:
            exchange.send(folder, trial.name)
            tune.report(metrics)

        outcome = here(trial, report)
        exchange.send(here.out / trial.name, trial.name)
        tune.report(_last(runner, trial, outcome))

    def train_trial(config: Mapping[str, Any]) -> None:
        from ray import tune

        def report(metrics: dict[str, Any], folder: Path) -> None:
            tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(str(folder)))

        trial = Trial(**config["trial"])
        if (checkpoint := tune.get_checkpoint()) is None:
            outcome = runner(trial, report)
        else:
            with checkpoint.as_directory() as earlier:
                outcome = runner(trial, report, Path(earlier))
        with tempfile.TemporaryDirectory() as small:  # replaces the last state, which is not needed any more
            (Path(small) / "status").write_text(outcome.status)
            tune.report(_last(runner, trial, outcome), checkpoint=tune.Checkpoint.from_directory(small))

    return train_from_storage if exchange else train_trial


def _last(runner: TrialRunner, trial: Trial, outcome: Outcome) -> dict[str, Any]:
    """The last report of a trial."""
    percent = int(100 * runner.target(trial) / runner.budget.amount)
    return {"sdr": float("-inf"), "percent": percent, **outcome.metrics, "status": outcome.status}


def _searcher(source: Source, runner: TrialRunner, exchange: Exchange | None) -> Any:
    from ray.tune.search import Searcher

    class FromSource(Searcher):
        """Passes the trials of a source to Ray."""

        def __init__(self) -> None:
            super().__init__(metric="sdr", mode="max")

        def suggest(self, trial_id: str) -> Any:
            trial = source.next()
            if trial is None:
                return None if source.is_waiting else Searcher.FINISHED  # None: ask again later
            if exchange:
                exchange.send(runner.out / trial.name, trial.name)
            return {"trial": asdict(trial), "settings": f"{format_overrides(trial.overrides)} seed {trial.seed}"}

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            """Nothing to do: the callback passes the outcome to the source."""

        def save(self, checkpoint_path: str) -> None:
            """Nothing to save: the trials' folders hold everything."""

        def restore(self, checkpoint_path: str) -> None:
            """See ``save``."""

    return FromSource()


def _asha(validations: int) -> Any:
    from ray.tune.schedulers import AsyncHyperBandScheduler

    return AsyncHyperBandScheduler(
        time_attr="percent", grace_period=max(1, 100 // validations), max_t=100, reduction_factor=ASHA_FACTOR
    )


def _table() -> Any:
    from ray import tune

    columns = {"sdr": "SDR (dB)", "step": "step", "percent": "% of budget", "status": "ended"}
    return tune.CLIReporter(
        metric_columns=columns,
        parameter_columns={"settings": "settings"},
        max_column_length=60,
        max_report_frequency=TABLE_EVERY_S,
    )


def _callback(
    runner: TrialRunner,
    source: Source,
    progress: Progress,
    ended: Callable[[Trial, Outcome], None],
    exchange: Exchange | None,
) -> Any:
    from ray import tune

    def end(ray_trial: Any, otherwise: str) -> None:
        trial = Trial(**ray_trial.config["trial"])
        folder = runner.out / trial.name
        if exchange:
            exchange.receive(trial.name, folder)
        outcome = read_outcome(folder)
        target = runner.target(trial)
        if not outcome.covers(target) and outcome.status != FAILED:
            row = best_row(folder, runner.metric)
            error = "its worker died: killed, or out of memory" if otherwise == FAILED else ""
            outcome = Outcome(otherwise, runner.metrics(trial, row) if row else {}, error, target)
            write_outcome(folder, outcome)
        source.done(trial, outcome)
        ended(trial, outcome)

    class Watch(tune.Callback):
        """Reports progress and outcomes in the process that started the search."""

        def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict, **info: Any) -> None:
            progress(Trial(**trial.config["trial"]), result.get("percent", 0) / 100)

        def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
            end(trial, STOPPED)

        def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
            end(trial, FAILED)

    return Watch()
