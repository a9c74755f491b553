"""The time of a run: what share of it is done, when it ends, and when to log, to validate and to save."""

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

from models.presets.training import TrainConfig
from models.training.record.progress import Progress
from models.training.world import World

LOG_EVERY = 50
"""Steps between two rows of metrics."""
SAVE_EVERY_S = 60.0


class StepTime(NamedTuple):
    """Time of one step, mean over the processes.

    Attributes:
        seconds: from the wish for a batch to the end of the step, a validation in between included.
        waited_s: of these, until the batch was there.
    """

    seconds: float
    waited_s: float


class Clock:
    """Counts the time of one call of ``train``, alike on all processes.

    In each step, ``start_step``, ``end_wait`` and ``end_step`` are called in this order.

    Args:
        config: length of the run, schedule and intervals.
        progress: of the run; its times, and where the run ends, are changed.
        world: the processes that train together.
        max_minutes: end this call after so many minutes.
        validations: validate also at so many equal shares of the run, or at these shares.
        until: share of the run at which this call ends.

    Attributes:
        is_stopped: whether a process was asked to stop.
    """

    def __init__(
        self,
        config: TrainConfig,
        progress: Progress,
        world: World,
        max_minutes: float | None,
        validations: int | Sequence[float],
        until: float = 1.0,
    ) -> None:
        self.config, self.progress, self.world, self.validations = config, progress, world, validations
        self._until = until
        self.is_stopped = False
        progress.horizon_minutes = self._horizon_minutes(max_minutes)
        self._call_end = progress.minutes + max_minutes if max_minutes else math.inf
        self._started = self._cpu_started = self._waited_s = 0.0
        self._shares_before = 0
        self._saved_at = time.monotonic()

    @property
    def share_done(self) -> float:
        """Share of the run that is done, from 0 to a little over 1."""
        progress = self.progress
        of_minutes = self._minutes / progress.horizon_minutes if progress.horizon_minutes else 0.0
        return max(progress.step / self.config.steps, of_minutes)

    @property
    def is_finished(self) -> bool:
        """Whether the run is complete, or no longer improves."""
        return self.share_done >= 1 or 0 < self.config.patience <= self.progress.stale_validations

    @property
    def has_reached_its_share(self) -> bool:
        """Whether the run is finished, or as far as this call is to bring it."""
        return self.is_finished or self.share_done >= self._until

    @property
    def is_over(self) -> bool:
        """Whether this call ends: stopped, far enough, or out of time."""
        return self.is_stopped or self.has_reached_its_share or self.progress.minutes >= self._call_end

    @property
    def is_time_to_log(self) -> bool:
        """Whether the step that was done last gets a row of metrics."""
        return self.progress.step % LOG_EVERY == 0

    @property
    def is_time_to_validate(self) -> bool:
        """Whether the step that was done last is validated; the time that takes counts."""
        return self.progress.step % self.config.validate_every == 0

    @property
    def has_completed_a_share(self) -> bool:
        """Whether the last step, its time counted, completed one of the shares ``validations`` of the run."""
        return self._completed_shares > self._shares_before

    @property
    def is_time_to_save(self) -> bool:
        """Whether the last save is long ago."""
        return time.monotonic() - self._saved_at > SAVE_EVERY_S

    def note_save(self) -> None:
        """Start anew to wait for the next save."""
        self._saved_at = time.monotonic()

    def start_step(self) -> None:
        """A batch is asked for."""
        self._started, self._cpu_started = time.monotonic(), time.process_time()
        self._shares_before = self._completed_shares

    def end_wait(self) -> None:
        """The batch is there."""
        self._waited_s = time.monotonic() - self._started

    def end_step(self, stop_signals: Sequence[int]) -> StepTime:
        """Count the time of a step.

        Args:
            stop_signals: that this process got so far.
        """
        seconds, cpu_seconds = time.monotonic() - self._started, time.process_time() - self._cpu_started
        size = self.world.size
        seconds, cpu_seconds, waited_s, stops = self.world.sum(seconds, cpu_seconds, self._waited_s, len(stop_signals))
        self.progress.minutes += seconds / size / 60
        self.progress.cpu_minutes += cpu_seconds / 60
        self.is_stopped = stops > 0
        return StepTime(seconds / size, waited_s / size)

    @property
    def _minutes(self) -> float:
        """What ``train.clock`` counts."""
        return self.progress.cpu_minutes if self.config.clock == "processor" else self.progress.minutes

    @property
    def _completed_shares(self) -> int:
        if isinstance(self.validations, int):
            return int(self.share_done * self.validations)
        return sum(share <= self.share_done for share in self.validations)

    def _horizon_minutes(self, max_minutes: float | None) -> float:
        """When the run is complete, in minutes of ``train.clock``; 0: the steps alone decide.

        A linear schedule must know its end: without ``train.minutes`` that is the end of the first call, and once it is
        reached, the end of the call that trains on.
        """
        if self.config.minutes or self.config.schedule != "linear":
            return self.config.minutes
        if max_minutes and self._minutes >= self.progress.horizon_minutes:
            return self._minutes + max_minutes
        return self.progress.horizon_minutes
