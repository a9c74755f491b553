"""One trial: a training run of one cell and seed. Its folder holds its description, its outcome and its weights."""

import itertools
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.checkpoints.checkpoint import load_checkpoint
from models.presets.preset import Preset
from models.presets.settings import override
from models.running.folder_lock import sole_writer
from models.training.data.packs import open_pack
from models.training.loop import train
from models.training.record.run_folder import BEST, STATE
from models.training.world import World
from tuning.space.band_split import resolve
from tuning.space.budget import Budget, share_of_budget
from tuning.trials.records import (
    FAILED,
    FINISHED,
    OUTCOME,
    STOPPED,
    Outcome,
    Trial,
    best_row,
    one_line,
    read_outcome,
    read_rows,
    sdr_of,
    write_outcome,
)

RTF_RUNS = 3

Report = Callable[[dict[str, Any], Path], None]
"""Called with the metrics of a validation, and the folder with the state of the run at that point."""


@dataclass(frozen=True)
class TrialRunner:
    """Trains trials with this project's trainer; the same in this process and in a Ray worker.

    Attributes:
        preset: the common preset of the cells.
        budget: of each trial.
        metric: ``mean`` or a stem; trials are compared by its validation SDR.
        pack: folder of the decoded tracks.
        out: folder of the search, absolute, because a Ray worker has another working directory.
        device: "cpu" or "cuda".
        threads: torch threads of one trial.
        validations: number of validations in a trial, at equal shares of the budget; with rungs, in each rung.
        earlier: smaller budgets that every trial is trained to first, because the search began with them.
        rungs: amounts of the budget at which successive halving compares trials, the last is the budget.
    """

    preset: Preset
    budget: Budget
    metric: str
    pack: Path
    out: Path
    device: str
    threads: int
    validations: int
    earlier: tuple[Budget, ...] = ()
    rungs: tuple[float, ...] = ()

    def __call__(self, trial: Trial, report: Report, earlier: Path | None = None) -> Outcome:
        """Train one trial, or resume it, to the end of its budget.

        An error of a trial becomes its outcome, so that the other trials go on.

        Args:
            trial: the trial.
            report: called at each validation except the last. After the last one there is nothing left to stop early.
            earlier: a copy of the trial's folder to resume from, if the folder itself is gone.

        Raises:
            InterruptedError: Ctrl-C or a termination signal; the state is saved.
        """
        folder = self.out / trial.name
        with sole_writer(folder, wait=True):  # a worker of a killed search may still be running
            target = self.target(trial)
            if (outcome := read_outcome(folder)).covers(target):
                return outcome  # an earlier worker finished it, but ended before Ray knew
            (folder / OUTCOME).unlink(missing_ok=True)  # a failed trial is tried again
            if earlier and not (folder / STATE).exists():
                shutil.copytree(earlier, folder, dirs_exist_ok=True)
            torch.set_num_threads(self.threads)
            try:
                metrics = self._train(trial, folder, report)
            except InterruptedError:
                raise
            except Exception as error:  # the other trials go on
                row = best_row(folder, self.metric)
                outcome = Outcome(FAILED, self.metrics(trial, row) if row else {}, one_line(error), target)
            else:
                outcome = Outcome(FINISHED if target >= self.budget.amount else STOPPED, metrics, until=target)
            write_outcome(folder, outcome)
            return outcome

    def target(self, trial: Trial) -> float:
        """The amount of the budget that a trial is to reach now."""
        return self.budget.amount if trial.until is None else trial.until

    def preset_of(self, trial: Trial) -> Preset:
        """The whole preset of a trial, with its budget."""
        return self._preset(trial, self.budget)

    def _preset(self, trial: Trial, budget: Budget) -> Preset:
        return budget.apply(override(self.preset, {**resolve(trial.overrides), "train.seed": trial.seed}), self.device)

    def _shares(self, budget: Budget) -> int | list[float]:
        """The shares of a budget at which trials are validated."""
        if not self.rungs:
            return self.validations
        ends = [0.0, *(rung for rung in self.rungs if rung <= budget.amount)]
        spans = itertools.pairwise(ends)
        parts = range(1, self.validations + 1)
        inside = [(low + (high - low) * part / self.validations) for low, high in spans for part in parts]
        return [min(1.0, amount / budget.amount) for amount in inside]

    def _train(self, trial: Trial, folder: Path, report: Report) -> dict[str, Any]:
        whole = self.preset_of(trial)
        target = self.target(trial)

        def on_validation(row: dict[str, Any]) -> None:
            share = share_of_budget(whole, row)
            if share < target / self.budget.amount:
                report({"sdr": sdr_of(row, self.metric), "step": row["step"], "percent": int(100 * share)}, folder)

        for budget in (*self.earlier, self.budget):
            preset, until = self._preset(trial, budget), min(1.0, target / budget.amount)
            if any(share_of_budget(preset, row) >= until for row in read_rows(folder)):
                continue  # an earlier call came so far
            result = train(
                preset,
                open_pack(self.pack),
                folder,
                resume=(folder / STATE).exists(),
                world=World(device=self.device),
                validations=self._shares(budget),
                until=until,
                metric=self.metric,
                on_validation=on_validation,
            )
            if result.interrupted:
                raise InterruptedError(f"stopped after {result.steps} steps")
            if target <= budget.amount:
                break
        row = best_row(folder, self.metric)
        if row is None:
            raise ValueError("the run ended without a validation")
        checkpoint = load_checkpoint(folder / BEST)
        return {**self.metrics(trial, row), "rtf": real_time_factor(checkpoint.network, whole)}

    def metrics(self, trial: Trial, row: Mapping[str, float]) -> dict[str, Any]:
        """The values in ``trials.csv`` for the weights that were validated in a row of a trial's metrics."""
        stems = {name: value for name, value in row.items() if name.startswith("valid_") and name != "valid_sdr"}
        last = read_rows(self.out / trial.name)[-1]
        return {
            "sdr": sdr_of(row, self.metric),
            **stems,
            "steps": int(last["step"]),
            "train_minutes": last["cpu_minutes"],
            "wall_minutes": last["minutes"],
            "budget_used": share_of_budget(self.preset_of(trial), last),
        }


def real_time_factor(network: torch.nn.Module, preset: Preset) -> float:
    """Processor seconds to separate one second of stereo audio on one thread of this machine's CPU, the best of three.

    Other trials on the same machine do not change the processor time, unlike the wall time.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    chunk = torch.randn(1, 2, preset.separate.window_size(preset.model.sample_rate))
    new_s = preset.separate.hop_size(preset.model.sample_rate) / preset.model.sample_rate
    seconds = []
    with torch.inference_mode():
        for _ in range(RTF_RUNS):
            started = time.thread_time()
            network.cpu()(chunk)
            seconds.append(time.thread_time() - started)
    torch.set_num_threads(threads)
    return min(seconds) / new_s
