"""The budget of each trial: optimiser steps, minutes, or floating-point operations."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.macs import step_gflops
from models.presets.preset import Preset
from models.presets.settings import override

KINDS = ("steps", "minutes", "flops")
DECIDED = ("train.steps", "train.minutes", "train.clock", "train.patience", "train.validate_every")
"""Settings that the budget determines."""
NEVER = 10**9


@dataclass(frozen=True)
class Budget:
    """An equal amount for every trial, so that a larger network does not win by training longer.

    Attributes:
        kind: ``steps`` of the optimiser; ``minutes`` of the trainer's processor time on a CPU (a busy machine does not
            change it) and of the wall clock on a GPU; ``flops``, floating-point operations of the training steps
            (``models.macs``), so that a larger network makes fewer steps.
        amount: how many of them.
    """

    kind: str
    amount: float

    def __str__(self) -> str:
        short = f"{self.amount:g}"
        exact = short if float(short) == self.amount else repr(self.amount).removesuffix(".0")
        return f"{self.kind}={exact}"  # search.yaml is read again: no digit may be lost

    def apply(self, preset: Preset, device: str) -> Preset:
        """A preset that trains for exactly this budget, without validations: the search adds its own.

        Raises:
            ValueError: the budget is smaller than one step.
        """
        changes: dict[str, Any] = {"train.patience": 0, "train.validate_every": NEVER, "train.minutes": 0}
        if self.kind == "minutes":
            clock = "processor" if device == "cpu" else "wall"
            changes |= {"train.minutes": self.amount, "train.clock": clock, "train.steps": NEVER}
        elif self.kind == "steps":
            changes["train.steps"] = int(self.amount)
        else:
            step_flops = step_gflops(preset) * 1e9
            if self.amount < step_flops:
                raise ValueError(f"--budget: {self} is less than one training step, which takes {step_flops:.3g}")
            changes["train.steps"] = round(self.amount / step_flops)
        return override(preset, changes)


def parse_budget(text: str) -> Budget:
    """Read ``steps=2000``, ``minutes=10`` or ``flops=3e15``.

    Raises:
        ValueError: anything else.
    """
    kind, _, amount_text = text.partition("=")
    try:
        amount = float(amount_text)
    except ValueError:
        amount = math.nan
    whole = amount.is_integer() if math.isfinite(amount) else False
    if kind not in KINDS or not 0 < amount < math.inf or (kind == "steps" and not (whole and amount < NEVER)):
        raise ValueError(f"--budget: expected steps=N, minutes=M or flops=X, above 0, got {text!r}")
    return Budget(kind, amount)


def share_of_budget(preset: Preset, row: Mapping[str, Any]) -> float:
    """The share of its budget, 0 to 1, that a trial had used at a row of its metrics."""
    train = preset.train
    if train.minutes:
        clock = "cpu_minutes" if train.clock == "processor" else "minutes"
        return min(1.0, float(row[clock]) / train.minutes)
    return min(1.0, float(row["step"]) / train.steps)
