"""What the folder of a trial holds: its description, its outcome, and its rows of metrics."""

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.running import atomic
from models.training.record.run_folder import METRICS

TRIAL, OUTCOME = "trial.json", "outcome.json"
FINISHED, STOPPED, FAILED, UNFINISHED = "finished", "stopped early", "failed", "unfinished"


@dataclass(frozen=True)
class Trial:
    """A training run of a search.

    Attributes:
        index: number of the trial, and of its folder.
        overrides: the settings of its cell.
        seed: of the initial weights and the batches.
        parameters: of the network.
        gmacs_per_s: 10^9 multiply-accumulates to separate a second of stereo audio, overlap included.
        until: amount of the budget at which it ends for now, in a rung of successive halving; None for all of it.
    """

    index: int
    overrides: Mapping[str, str]
    seed: int
    parameters: int
    gmacs_per_s: float
    until: float | None = None

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"trial-{self.index:03d}"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial.

    Attributes:
        status: ``finished``, ``stopped early`` (by the scheduler, or at its rung), ``failed``, or ``unfinished``.
        metrics: of the weights that are kept, and the training time and budget that were used.
        error: why it failed, else "".
        until: amount of the budget that it had to reach; None where it is unknown, before this was kept.
    """

    status: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    until: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether a resumed search does not run it again."""
        return self.status in (FINISHED, STOPPED)

    def status_at(self, amount: float) -> str:
        """The status in a search of this budget: a trial that had to reach less was stopped early."""
        return STOPPED if self.status == FINISHED and not self.covers(amount) else self.status

    def covers(self, amount: float) -> bool:
        """Whether it is over, and had to reach this amount of the budget or more."""
        return self.is_over and (self.until is None or self.until >= amount)


def sdr_of(row: Mapping[str, Any], metric: str) -> float:
    """The validation SDR of the metric, dB.

    Raises:
        ValueError: no validation track has this stem.
    """
    name = "valid_sdr" if metric == "mean" else f"valid_{metric}"
    if name not in row:
        raise ValueError(f"--metric: expected a stem of the validation tracks, got {metric}")
    return float(row[name])


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
                f"{path}: expected a trial, got a damaged file ({one_line(error)}); delete its folder"
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
            f"{folder / OUTCOME}: expected an outcome, got a damaged file ({one_line(error)}); delete it"
        ) from None


def one_line(error: BaseException) -> str:
    """An error, with its class, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
