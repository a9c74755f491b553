"""One trial: a training run of one cell and seed. Its folder holds its description, its outcome and its weights."""

import csv
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from models.checkpoints.checkpoint import load_checkpoint
from models.presets.preset import Preset
from models.presets.settings import override
from models.running import atomic
from models.running.folder_lock import sole_writer
from models.training.data.packs import open_pack
from models.training.loop import train
from models.training.record.run_folder import BEST, METRICS, STATE
from models.training.world import World
from tuning.space.budget import Budget, share_of_budget

TRIAL, OUTCOME = "trial.json", "outcome.json"
FINISHED, STOPPED, FAILED, UNFINISHED = "finished", "stopped early", "failed", "unfinished"
RTF_RUNS = 3

Report = Callable[[dict[str, Any], Path], None]
"""Called with the metrics of a validation, and the folder with the state of the run at that point."""


@dataclass(frozen=True)
class Trial:
    """A training run of a search.

    Attributes:
        index: number of the trial, and of its folder.
        overrides: the settings of its cell.
        seed: of the initial weights and the batches.
        parameters: of the network.
        gmacs_per_s: 10^9 multiply-accumulates to separate a second of stereo audio, overlap included.
    """

    index: int
    overrides: Mapping[str, str]
    seed: int
    parameters: int
    gmacs_per_s: float

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"trial-{self.index:03d}"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial.

    Attributes:
        status: ``finished``, ``stopped early`` (by the scheduler), ``failed``, or ``unfinished``.
        metrics: of the weights that are kept, and the training time and budget that were used.
        error: why it failed, else "".
    """

    status: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def is_over(self) -> bool:
        """Whether a resumed search does not run it again."""
        return self.status in (FINISHED, STOPPED)


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
        validations: number of validations in a trial, at equal shares of the budget.
    """

    preset: Preset
    budget: Budget
    metric: str
    pack: Path
    out: Path
    device: str
    threads: int
    validations: int

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
            if (outcome := read_outcome(folder)).is_over:
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
                outcome = Outcome(FAILED, self.metrics(trial, row) if row else {}, _one_line(error))
            else:
                outcome = Outcome(FINISHED, metrics)
            write_outcome(folder, outcome)
            if outcome.status == FINISHED:
                (folder / STATE).unlink(missing_ok=True)  # the best weights and the metrics stay
            return outcome

    def preset_of(self, trial: Trial) -> Preset:
        """The whole preset of a trial, with its budget."""
        return self.budget.apply(override(self.preset, {**trial.overrides, "train.seed": trial.seed}), self.device)

    def _train(self, trial: Trial, folder: Path, report: Report) -> dict[str, Any]:
        preset = self.preset_of(trial)

        def on_validation(row: dict[str, Any]) -> None:
            if (share := share_of_budget(preset, row)) < 1:
                report({"sdr": sdr_of(row, self.metric), "step": row["step"], "percent": int(100 * share)}, folder)

        result = train(
            preset,
            open_pack(self.pack),
            folder,
            resume=(folder / STATE).exists(),
            world=World(device=self.device),
            validations=self.validations,
            metric=self.metric,
            on_validation=on_validation,
        )
        if result.interrupted:
            raise InterruptedError(f"stopped after {result.steps} steps")
        row = best_row(folder, self.metric)
        if row is None:
            raise ValueError("the run ended without a validation")
        checkpoint = load_checkpoint(folder / BEST)
        return {**self.metrics(trial, row), "rtf": real_time_factor(checkpoint.network, preset)}

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


def sdr_of(row: Mapping[str, Any], metric: str) -> float:
    """The validation SDR of the metric, dB.

    Raises:
        ValueError: no validation track has this stem.
    """
    name = "valid_sdr" if metric == "mean" else f"valid_{metric}"
    if name not in row:
        raise ValueError(f"--metric: expected a stem of the validation tracks, got {metric}")
    return float(row[name])


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


def read_rows(folder: Path) -> list[dict[str, float]]:
    """The rows with a validation in a trial's metrics."""
    if not (folder / METRICS).exists():
        return []
    with (folder / METRICS).open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("valid_sdr")]
    return [{name: float(value) for name, value in row.items() if value} for row in rows]


def best_row(folder: Path, metric: str) -> dict[str, float] | None:
    """The row of the weights that a trial keeps, the best by the metric; None before its first validation."""
    return max(read_rows(folder), key=lambda row: sdr_of(row, metric), default=None)


def write_trial(out: Path, trial: Trial) -> None:
    """Write a trial to its folder."""
    folder = out / trial.name
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_json(folder / TRIAL, {**asdict(trial), "overrides": dict(trial.overrides)})


def read_trials(out: Path) -> list[Trial]:
    """All trials of a search's folder, by number.

    Raises:
        ValueError: a file is damaged.
    """
    trials = []
    for path in sorted(out.glob(f"trial-*/{TRIAL}")):
        try:
            trials.append(Trial(**json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{path}: expected a trial, got a damaged file ({_one_line(error)}); delete its folder"
            ) from None
    return sorted(trials, key=lambda trial: trial.index)


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Write the outcome of a trial to its folder."""
    atomic.write_json(folder / OUTCOME, asdict(outcome))


def read_outcome(folder: Path) -> Outcome:
    """Read the outcome of a trial; ``unfinished`` if it has none yet.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        return Outcome(**json.loads((folder / OUTCOME).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Outcome(UNFINISHED)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{folder / OUTCOME}: expected an outcome, got a damaged file ({_one_line(error)}); delete it"
        ) from None


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
