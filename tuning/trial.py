"""One trial: a training run of one cell and seed in a folder of its own, which says what became of it."""

import csv
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from models.checkpoint import load_checkpoint, write_atomically
from models.config import override
from models.folder_lock import sole_writer
from models.preset import Preset
from models.training.data.packs import open_pack
from models.training.loop import train
from models.training.record.run_folder import BEST, METRICS, STATE
from models.training.world import World
from tuning.budget import Budget, share_of_budget

TRIAL, OUTCOME = "trial.json", "outcome.json"
FINISHED, STOPPED, FAILED, UNFINISHED = "finished", "stopped early", "failed", "unfinished"
RTF_RUNS = 3

Report = Callable[[dict[str, Any], Path], None]
"""Takes metrics on the way, and the folder in which the run is saved up to them."""


@dataclass(frozen=True)
class Trial:
    """What is to be trained.

    Attributes:
        index: number of the trial, and of its folder.
        overrides: what its cell changes.
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
        """Of its folder."""
        return f"trial-{self.index:03d}"


@dataclass(frozen=True)
class Outcome:
    """What became of a trial.

    Attributes:
        status: ``finished``, ``stopped early`` (by the scheduler), ``failed``, or ``unfinished`` (not yet run to its
            end).
        metrics: of the weights that it keeps, and what they cost.
        error: what made it fail, else "".
    """

    status: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def is_over(self) -> bool:
        """Whether a resumed search leaves it as it is."""
        return self.status in (FINISHED, STOPPED)


@dataclass(frozen=True)
class TrialRunner:
    """Trains trials with this project's trainer; the same in this process and in a Ray worker.

    Attributes:
        preset: what the trials' cells change.
        budget: of each trial.
        metric: ``mean`` or a stem, whose validation SDR is compared.
        pack: folder of the decoded tracks.
        out: folder of the search, absolute: a Ray worker has a working directory of its own.
        device: "cpu" or "cuda".
        threads: torch threads of one trial.
        validations: how many in a trial, at equal shares of the budget.
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
        """Train one trial, or go on with it, to the end of its budget.

        What a trial raises is its outcome: it fails alone.

        Args:
            trial: which.
            report: called at each validation but the last: a scheduler that hears of a trial's last score can only stop
                it, and it has nothing left to save.
            earlier: a copy of the trial's folder to go on from, if the folder itself has gone.

        Raises:
            InterruptedError: Ctrl-C or a termination signal; the state is saved.
        """
        folder = self.out / trial.name
        with sole_writer(folder, wait=True):  # a worker of a search that was killed may live a moment longer
            if (outcome := read_outcome(folder)).is_over:
                return outcome  # whoever trained it died after its last line
            (folder / OUTCOME).unlink(missing_ok=True)  # it failed before, and is tried again
            if earlier and not (folder / STATE).exists():
                shutil.copytree(earlier, folder, dirs_exist_ok=True)
            torch.set_num_threads(self.threads)
            try:
                metrics = self._train(trial, folder, report)
            except InterruptedError:
                raise
            except Exception as error:  # whatever it is, the other trials go on
                row = best_row(folder, self.metric)
                outcome = Outcome(FAILED, self.metrics(trial, row) if row else {}, _one_line(error))
            else:
                outcome = Outcome(FINISHED, metrics)
            write_outcome(folder, outcome)
            if outcome.status == FINISHED:
                (folder / STATE).unlink(missing_ok=True)  # the best weights and the curve stay
            return outcome

    def preset_of(self, trial: Trial) -> Preset:
        """The whole preset of a trial, the budget in it."""
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
        """What ``trials.csv`` says of the weights validated in a row of a trial's metrics."""
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
    """The validation SDR that trials are compared by, dB.

    Raises:
        ValueError: the validation tracks have no such stem.
    """
    name = "valid_sdr" if metric == "mean" else f"valid_{metric}"
    if name not in row:
        raise ValueError(f"--metric: no validation track has {metric}")
    return float(row[name])


def real_time_factor(network: torch.nn.Module, preset: Preset) -> float:
    """Processor seconds to separate one second of stereo audio on one thread of this machine's CPU, the best of three.

    Processor time, since the trials beside this one would lengthen any other.
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
    """The validated rows of a trial's metrics so far."""
    if not (folder / METRICS).exists():
        return []
    with (folder / METRICS).open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("valid_sdr")]
    return [{name: float(value) for name, value in row.items() if value} for row in rows]


def best_row(folder: Path, metric: str) -> dict[str, float] | None:
    """The row of the weights that a trial keeps: the best by the metric; None before its first validation."""
    return max(read_rows(folder), key=lambda row: sdr_of(row, metric), default=None)


def write_trial(out: Path, trial: Trial) -> None:
    """Say in its folder what a trial is."""
    folder = out / trial.name
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**asdict(trial), "overrides": dict(trial.overrides)}, indent=1) + "\n"
    write_atomically(folder / TRIAL, lambda path: path.write_text(text, encoding="utf-8"))


def read_trials(out: Path) -> list[Trial]:
    """All trials of a search's folder, in their order.

    Raises:
        ValueError: a file that is damaged.
    """
    trials = []
    for path in sorted(out.glob(f"trial-*/{TRIAL}")):
        try:
            trials.append(Trial(**json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: not a trial's file ({_one_line(error)}); delete its folder") from None
    return sorted(trials, key=lambda trial: trial.index)


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Say in its folder what became of a trial."""
    text = json.dumps(asdict(outcome), indent=1) + "\n"
    write_atomically(folder / OUTCOME, lambda path: path.write_text(text, encoding="utf-8"))


def read_outcome(folder: Path) -> Outcome:
    """What became of a trial; ``unfinished`` if it has not come to its end.

    Raises:
        ValueError: a file that is damaged.
    """
    try:
        return Outcome(**json.loads((folder / OUTCOME).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Outcome(UNFINISHED)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{folder / OUTCOME}: not an outcome ({_one_line(error)}); delete it") from None


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
