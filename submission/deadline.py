"""Which way of separating still ends in time: a plan that is made again after every step.

A `Rung` is one way: which networks, how much their chunks overlap, in which precision. The ladder lists them, the best
first. A rung's cost was measured once, on a second of noise; how much slower or faster the machine is now, the steps
of the track itself tell. The best rung that ends in time is taken, so a slow start goes down the ladder and a short
disturbance comes up again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TARGET_SHARE = 0.6
"""Tracks are planned to end within this share of the allowed time."""
LAST_SHARE = 0.85
"""No network runs beyond this share of the allowed time."""


@dataclass(frozen=True)
class Rung:
    """One way to separate.

    Attributes:
        networks: names of the networks whose stems are averaged.
        overlap: fraction of a chunk that it shares with the next one.
        precision: "float32", or "half": float16 on a GPU, bfloat16 on a CPU.
    """

    networks: tuple[str, ...]
    overlap: float
    precision: str

    def __str__(self) -> str:
        """For reports: what a reader wants to know of it."""
        return f"{' + '.join(self.networks)}, overlap {self.overlap:g}, {self.precision}"


def ladder(
    choices: Sequence[tuple[str, ...]], overlap: float, costs: Mapping[tuple[str, str], float]
) -> dict[Rung, float]:
    """The rungs, the best first, and what each costs.

    For each choice of networks: full overlap before none, and float32 before half, which loses less than the overlap.

    Args:
        choices: sets of networks, the best first.
        overlap: the overlap that the networks are meant to have.
        costs: seconds of work for a second of audio of each (network, precision) that works.
    """
    rungs = {}
    for networks in choices:
        for fraction in dict.fromkeys((overlap, 0.0)):
            for precision in ("float32", "half"):
                if all((network, precision) in costs for network in networks):
                    cost = sum(costs[network, precision] for network in networks)
                    rungs[Rung(networks, fraction, precision)] = cost
    return rungs


class Planner:
    """Chooses a rung for the next step of one track.

    Args:
        rungs: seconds of work for a second of audio that goes through each rung; the best first.
        window_s: length of a chunk, seconds.
        slowdown: the machine's time for a step over what `rungs` says, as the last track left it; None before any.

    Attributes:
        slowdown: the same, corrected by every step.
    """

    def __init__(self, rungs: Mapping[Rung, float], window_s: float, slowdown: float | None = None) -> None:
        self._costs = {rung: max(cost, 1e-9) for rung, cost in rungs.items()}
        self._window_s = window_s
        self.slowdown = slowdown
        self._has_observed = False

    @property
    def rungs(self) -> list[Rung]:
        """What is left to choose from, the best first."""
        return list(self._costs)

    def choose(self, remaining_s: float, until_target_s: float, until_last_s: float) -> Rung | None:
        """The best rung that ends the track before the target; else the cheapest while one more chunk fits; else None.

        Before any step was seen, the last moment is the target: short noise costs more for each second than a chunk.

        Args:
            remaining_s: audio that no chunk has covered yet, seconds.
            until_target_s: time until the track should be done, seconds.
            until_last_s: time until no network may run any more, seconds.
        """
        if not self._costs:
            return None
        if self.slowdown is None:
            until_target_s = until_last_s
        predictions = {rung: self.predict(rung, remaining_s) for rung in self._costs}
        for rung, predicted_s in predictions.items():
            if predicted_s <= until_target_s:
                return rung
        cheapest = min(predictions, key=lambda rung: predictions[rung])
        chunk_s = self.predict(cheapest, min(remaining_s, self._window_s))
        return cheapest if chunk_s <= until_last_s else None

    def predict(self, rung: Rung, remaining_s: float) -> float:
        """Seconds that a rung will take for the rest of a track."""
        slowdown = 1.0 if self.slowdown is None else self.slowdown
        return self._costs[rung] * slowdown * processed_s(remaining_s, self._window_s, rung.overlap)

    def observe(self, rung: Rung, audio_s: float, took_s: float) -> None:
        """Learn from a step: so many seconds of audio went through a rung in so many seconds."""
        slowdown = took_s / (self._costs[rung] * audio_s)
        if self._has_observed and self.slowdown is not None:
            slowdown = (self.slowdown + slowdown) / 2
        self.slowdown = slowdown
        self._has_observed = True

    def exclude(self, network: str, precision: str | None = None) -> None:
        """Take out the rungs that use a network, or only those in one precision."""
        self._costs = {
            rung: cost
            for rung, cost in self._costs.items()
            if network not in rung.networks or precision not in (None, rung.precision)
        }


def processed_s(remaining_s: float, window_s: float, overlap: float) -> float:
    """Audio that goes through a network to cover the rest of a track, in seconds: what chunks share counts twice."""
    num_joints = max(0, math.ceil((remaining_s - window_s) / (window_s * (1 - overlap))))
    return remaining_s + num_joints * window_s * overlap


class BatchSize:
    """How many chunks go through a network at once: doubled while that makes a second of audio cheaper.

    Args:
        start: the first size.
        largest: the size to stop at.

    Attributes:
        size: the present one.
    """

    WORTHWHILE = 0.9

    def __init__(self, start: int, largest: int) -> None:
        self.size = start
        self._largest = largest
        self._settled = start >= largest
        self._tried: tuple[int, float] | None = None

    def observe(self, size: int, cost: float) -> None:
        """Learn what a second of audio cost in a batch of `size`; a last, smaller batch tells nothing."""
        if self._settled or size != self.size:
            return
        if self._tried is not None and cost > self.WORTHWHILE * self._tried[1]:
            self.size, self._settled = self._tried[0], True
        elif size >= self._largest:
            self._settled = True
        else:
            self._tried = size, cost
            self.size = min(2 * size, self._largest)

    def shrink(self) -> bool:
        """Halve it for good, as memory ran out; False if it was 1 already."""
        self._settled = True
        if self.size == 1:
            return False
        self.size //= 2
        return True
