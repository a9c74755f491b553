"""The log of a run: rows of metrics, a progress bar, and messages."""

import contextlib
import math
import sys
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

from models.training.record.progress import Progress


class Log:
    """Adds rows to a run's metrics.

    Args:
        rows: of ``metrics.csv``; changed in place.
        batch: examples of a step, over all processes.
        is_silent: show no progress bar: another process has one.
    """

    def __init__(self, rows: list[dict[str, Any]], batch: int, is_silent: bool) -> None:
        self.rows, self.batch, self.is_silent = rows, batch, is_silent
        self._steps, self._seconds, self._waited_s = 0, 0.0, 0.0  # since the last row

    def count_step(self, seconds: float, waited_s: float) -> None:
        """Count a step for the next row: its seconds, and those of them that it waited for its batch."""
        self._steps += 1
        self._seconds += seconds
        self._waited_s += waited_s

    def add_row(self, progress: Progress, rate: float, gradient_norm: float) -> None:
        """Add a row: the mean loss since the last one, and how fast the steps were."""
        losses, seconds = progress.losses, max(self._seconds, 1e-9)
        row = {
            "step": progress.step,
            **_spent(progress),
            "loss": sum(losses) / len(losses) if losses else math.nan,
            "lr": rate,
            "gradient_norm": gradient_norm,
            "skipped": progress.skipped,
        }
        if self._steps:
            row["examples_per_s"] = round(self._steps * self.batch / seconds, 3)
            row["idle_share"] = round(self._waited_s / seconds, 4)
        self.rows.append(row)
        losses.clear()
        self._steps, self._seconds, self._waited_s = 0, 0.0, 0.0

    def has_row(self, step: int) -> bool:
        """Whether the last row is that of a step."""
        return bool(self.rows) and self.rows[-1]["step"] == step

    def is_validated(self, step: int) -> bool:
        """Whether a step's row has its validation SDR."""
        return self.has_row(step) and "valid_sdr" in self.rows[-1]

    def add_validation(self, progress: Progress, scores: Mapping[str, float]) -> dict[str, Any]:
        """Put the SDR of each stem, dB, and their mean into the last row, and return it."""
        stems = {f"valid_{stem}": score for stem, score in scores.items()}
        self.rows[-1].update({**_spent(progress), "valid_sdr": sum(scores.values()) / len(scores), **stems})
        return self.rows[-1]

    def say_validation(self, progress: Progress) -> None:
        """A message about the last row, which is validated."""
        row = self.rows[-1]
        scores = {name.removeprefix("valid_"): row[name] for name in row if name.startswith("valid_")}
        mean = scores.pop("sdr")
        stems = ", ".join(f"{stem} {score:.2f}" for stem, score in scores.items())
        say(
            f"step {progress.step}, {progress.minutes:.1f} min: "
            f"loss {row['loss']:.4f}, validation SDR {mean:.2f} dB ({stems})"
        )

    def open_bar(self, progress: Progress, num_steps: int) -> tqdm:
        """A progress bar of the whole run; on a terminal alone."""
        hidden = True if self.is_silent else None  # None: hidden where there is no terminal
        return tqdm(total=num_steps, initial=progress.step, desc="train", unit="step", file=sys.stderr, disable=hidden)


def show_step(bar: tqdm, progress: Progress, loss: float) -> None:
    """Move the bar on by a step."""
    bar.update()
    bar.set_postfix(loss=f"{loss:.4f}", best=f"{progress.best_sdr:.2f} dB", min=f"{progress.minutes:.1f}")


def say(message: str) -> None:
    """A line above the progress bar; a terminal that has gone must not end a run."""
    with contextlib.suppress(OSError):
        tqdm.write(message, file=sys.stderr)


def _spent(progress: Progress) -> dict[str, float]:
    """Minutes so far, for a row."""
    return {"minutes": round(progress.minutes, 6), "cpu_minutes": round(progress.cpu_minutes, 6)}
