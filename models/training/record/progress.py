"""How far a run has come: what is counted from its first step on and saved, so that a resumed run goes on exactly."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Progress:
    """What a run counts; its fields are checked when it is made.

    Attributes:
        step: optimiser steps done, those left out included.
        minutes: time of the steps, minutes.
        cpu_minutes: processor time of the steps, over all processes, minutes.
        began_with: identity of the checkpoint that the run began with; "" for none.
        earlier_cpu_minutes: processor minutes that this checkpoint had been trained for.
        horizon_minutes: when the run is complete, in minutes of ``train.clock``; 0: the steps alone decide.
        best_sdr: best validation SDR, by the metric of the run, dB; -inf before the first validation.
        stale_validations: validations since the best one.
        skipped: steps left out because loss or gradient was not finite.
        skips_in_a_row: how many of them since the last good step.
        losses: of the steps since the last row of metrics.

    Raises:
        ValueError: a field of another type, or a number below 0.
    """

    step: int = 0
    minutes: float = 0.0
    cpu_minutes: float = 0.0
    began_with: str = ""
    earlier_cpu_minutes: float = 0.0
    horizon_minutes: float = 0.0
    best_sdr: float = -math.inf
    stale_validations: int = 0
    skipped: int = 0
    skips_in_a_row: int = 0
    losses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Check types and ranges."""
        if not isinstance(self.began_with, str):
            raise ValueError(f"progress.began_with: expected text, got {self.began_with!r}")
        for name in ("step", "stale_validations", "skipped", "skips_in_a_row"):
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                raise ValueError(f"progress.{name}: expected a whole number of at least 0, got {value!r}")
        for name in ("minutes", "cpu_minutes", "earlier_cpu_minutes", "horizon_minutes"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value < math.inf:
                raise ValueError(f"progress.{name}: expected minutes of at least 0, got {value!r}")
        if not _is_number(self.best_sdr):
            raise ValueError(f"progress.best_sdr: expected a number, got {self.best_sdr!r}")
        if not isinstance(self.losses, list) or not all(map(_is_number, self.losses)):
            raise ValueError(f"progress.losses: expected a list of numbers, got {self.losses!r}")

    @classmethod
    def from_state(cls, values: Any) -> "Progress":
        """Read what ``to_state`` gave.

        Raises:
            ValueError: a field is missing, unknown, of another type or out of range.
        """
        if not isinstance(values, dict):
            raise ValueError(f"progress: expected a mapping, got {values!r}")
        names = {each.name for each in dataclasses.fields(cls)}
        if missing := sorted(names - set(values)):
            raise ValueError(f"progress lacks {', '.join(missing)}")
        if unknown := sorted(map(str, set(values) - names)):
            raise ValueError(f"progress has {', '.join(unknown)}, which this version does not know")
        return cls(**values)

    def to_state(self) -> dict[str, Any]:
        """Plain values, to be saved."""
        return dataclasses.asdict(self)

    def note_validation(self, score: float) -> bool:
        """Count a validation; whether its SDR in dB is the best so far."""
        is_best = score > self.best_sdr
        self.stale_validations += 1
        if is_best:
            self.best_sdr, self.stale_validations = score, 0
        return is_best


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
