"""Networks that scale the mixture; a fake clock counts the given time for their work."""

import threading

import torch
from torch import Tensor, nn

from models.bsrnn import Estimate
from models.separation.separator import NetworkSeparator
from models.signal.chunking import SeparateConfig
from submission.predictor.attempt import Attempt, Clock

GAINS = {"vocals": 0.4, "drums": 0.3, "bass": 0.2, "other": 0.1}


class FakeClock(Clock):
    """A clock whose time passes only in ``work`` and ``wait``, and which can simulate stalls of the machine.

    A working thread requests seconds. It continues when the waiting thread has let them pass.

    Args:
        stalls: (begin, seconds) of each stall, in which no work is done, in order.
        speed: seconds of work done in a second of the clock.

    Attributes:
        stall_ends: when each stall ended.
    """

    def __init__(self, stalls: list[tuple[float, float]] | None = None, speed: float = 1.0) -> None:
        self.now = 100.0
        self.stalls = sorted(stalls or [])
        self.stall_ends: list[float] = []
        self.speed = speed
        self._changed = threading.Condition()
        self._worker: Attempt | None = None
        self._left_s = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        """Take some time; returns at once in an abandoned thread."""
        thread = threading.current_thread()
        if not isinstance(thread, Attempt):
            self._pass(seconds / self.speed)
            return
        if seconds <= 0:
            return
        with self._changed:
            self._worker, self._left_s = thread, seconds
            self._changed.notify_all()
            while self._worker is thread and not thread.is_abandoned:
                self._changed.wait(0.01)  # is_abandoned sends no notification

    def wait(self, event: threading.Event, seconds: float) -> None:
        with self._changed:
            end = self.now + seconds
            while not event.is_set() and self.now < end:
                if self._worker is None or self._worker.is_abandoned:
                    self._changed.wait(0.001)  # who does not work begins or ends in no time
                    continue
                share_s = min(end - self.now, self._left_s / self.speed)
                self._pass(share_s)
                self._left_s -= share_s * self.speed
                if self._left_s <= 1e-9:
                    self._worker = None
                    self._changed.notify_all()

    def _pass(self, seconds: float) -> None:
        """Let some time of work pass, and the stalls that begin in it."""
        self.now += seconds
        while self.stalls and self.stalls[0][0] <= self.now:
            self.now += self.stalls.pop(0)[1]
            self.stall_ends.append(self.now)


class ScalingNetwork(nn.Module):
    """Stems are the mixture times fixed gains.

    Attributes:
        cost: seconds of the clock for a second of audio.
        least_s: least seconds of the clock for a call.
        calls: (chunks, samples, precision under autocast) of each call.
        fail: exception that later calls raise, None for no exception.
    """

    channels = 2

    def __init__(self, clock: FakeClock, cost: float = 0.0, gains: dict[str, float] | None = None, rate: int = 44100):
        super().__init__()
        self.gains = gains or GAINS
        self.stems = tuple(self.gains)
        self.sample_rate = rate
        self.clock, self.cost, self.least_s = clock, cost, 0.0
        self.fail: Exception | None = None
        self.calls: list[tuple[int, int, str]] = []

    def forward(self, mixture: Tensor) -> Estimate:
        precision = "half" if torch.is_autocast_enabled("cpu") else "float32"
        self.calls.append((len(mixture), mixture.shape[-1], precision))
        self.clock.work(max(self.least_s, self.cost * len(mixture) * mixture.shape[-1] / self.sample_rate))
        if self.fail is not None:
            raise self.fail
        gains = torch.tensor(list(self.gains.values()))
        return Estimate(gains[:, None, None] * mixture[:, None])


def scaling_separator(
    clock: FakeClock | None = None,
    cost: float = 0.0,
    name: str = "scaling",
    overlap: float = 0.0,
    segment_s: float = 1.0,
    **options,
) -> NetworkSeparator:
    """A ScalingNetwork behind a separator with chunks of 1 s."""
    network = ScalingNetwork(clock or FakeClock(), cost, **options)
    return NetworkSeparator(network, SeparateConfig(segment_s, overlap, batch=1), name=name)
