"""Which way of separating still ends in time: a plan that is made again after every step.

A `Rung` is one way: which networks, how much their chunks overlap, in which precision. The ladder lists them, the best
first. What a rung costs was measured once, on a second of noise; how much slower or faster the machine is now, the
steps of the track itself tell. The best rung that ends in time is taken.

The law: after a stall of any length, the cheapest rung gets all the time that is left. So a better rung is begun only
if the cheapest could still do everything afterwards, and a step that would not leave it that time any more is left.

Everything here is arithmetic: the caller says what time it is.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TARGET_SHARE = 0.6
"""Tracks are planned to end within this share of the allowed time."""
LAST_SHARE = 0.85
"""No network runs beyond this share of the allowed time."""
HANDOVER_S = 0.1
"""Nor in these last seconds of it: however short the track is, files are read and written, on a busy machine too. So no
network runs for tracks under 64 ms, which are shorter than its analysis window."""
SHORTEST_STEP_S = 0.25
"""Seconds of audio; shorter chunks cost a network as much."""
TELLING_S = 1.0
"""Seconds of audio; a shorter step does not tell how slow the machine is."""
NUM_RECENT = 3


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


@dataclass(frozen=True)
class Step:
    """What to do next.

    Attributes:
        rung: how.
        num_chunks: how many chunks, at most.
        chunk_s: length of each, seconds; shorter than the usual one where the time is short.
        takes_s: predicted time, seconds.
        covers_s: audio that is new in it, seconds.
        remaining_s: audio that is left, this step's included, seconds.
    """

    rung: Rung
    num_chunks: int
    chunk_s: float
    takes_s: float
    covers_s: float
    remaining_s: float


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
    """Chooses the steps of one track.

    Args:
        rungs: seconds of work for a second of audio that goes through each rung; the best first.
        window_s: usual length of a chunk, seconds.
        slowdown: the machine's time for a step over what `rungs` says, as earlier tracks saw it; None before any.
    """

    def __init__(self, rungs: Mapping[Rung, float], window_s: float, slowdown: float | None = None) -> None:
        self._costs = {rung: max(cost, 1e-9) for rung, cost in rungs.items()}
        self._window_s = window_s
        self._earlier = slowdown
        self._was_left = False
        self.observed: list[float] = []

    @property
    def rungs(self) -> list[Rung]:
        """What is left to choose from, the best first."""
        return list(self._costs)

    @property
    def slowdown(self) -> float | None:
        """The median of this track's last three steps, as one may be disturbed; before any, the earlier tracks'."""
        return statistics.median_low(self.observed[-NUM_RECENT:]) if self.observed else self._earlier

    def choose(self, remaining_s: float, until_target_s: float, until_last_s: float, batch: int = 1) -> Step | None:
        """The next step: by the best rung that ends the track before the target, else by the cheapest, until the end.

        A better rung than the cheapest is taken only if its step leaves the cheapest the time for all that remains, and
        not directly after a step that was left. A step of the cheapest takes at most half of the time left, by shorter
        chunks if need be, so that a wrong prediction loses half of it only. Before any step was seen, the last moment
        is the target: noise, by which the costs were measured, costs more for each second than a chunk.

        Args:
            remaining_s: audio that no chunk has covered yet, seconds.
            until_target_s: time until the track should be done, seconds.
            until_last_s: time until no network may run any more, seconds.
            batch: chunks that may go through a network at once.

        Returns:
            The step; None if no network is left, or no time.
        """
        if not self._costs or until_last_s <= 0:
            return None
        if self.slowdown is None:
            until_target_s = until_last_s
        cheapest = self._cheapest(remaining_s)
        spare_s = until_last_s - self.predict(cheapest, remaining_s)
        chunk_s = min(remaining_s, self._window_s)
        for rung in self._costs:
            if rung == cheapest or self._was_left:
                break
            if self.predict(rung, remaining_s) <= until_target_s and self._work_s(rung, chunk_s) <= spare_s:
                return self._step(rung, chunk_s, remaining_s, spare_s, batch)
        if (full_s := self._work_s(cheapest, chunk_s)) > until_last_s / 2:
            chunk_s = min(chunk_s, max(SHORTEST_STEP_S, chunk_s * until_last_s / 2 / full_s))
        return self._step(cheapest, chunk_s, remaining_s, until_last_s / 2, batch)

    def should_leave(self, step: Step, worked_s: float, until_last_s: float) -> bool:
        """Whether a step that is running is to be left, and what it was to cover done by the cheapest rung.

        Args:
            step: what runs.
            worked_s: how long, without the time in which the whole machine stood still, seconds.
            until_last_s: time until no network may run any more, seconds.
        """
        cheapest = self._cheapest(step.remaining_s)
        is_cheapest = step.rung == cheapest
        if is_cheapest and step.chunk_s <= SHORTEST_STEP_S:
            return False  # there is nothing smaller to try instead
        left_s = step.takes_s - worked_s
        if left_s < 0:  # slower than predicted, and so will be the cheapest
            slower = worked_s / step.takes_s
            return not is_cheapest and until_last_s < slower * self.predict(cheapest, step.remaining_s)
        if left_s > until_last_s:
            return True
        is_dear = left_s > self.predict(cheapest, step.covers_s)  # to finish it costs more than to do it again
        return is_dear and left_s + self.predict(cheapest, step.remaining_s - step.covers_s) > until_last_s

    def predict(self, rung: Rung, remaining_s: float) -> float:
        """Seconds that a rung will take for the rest of a track."""
        return self._work_s(rung, processed_s(remaining_s, self._window_s, rung.overlap))

    def observe(self, rung: Rung, audio_s: float, took_s: float) -> None:
        """Learn from a step: so many seconds of audio went through a rung in so many seconds.

        A short step is mostly set-up: it tells something only if even so it was faster than predicted.
        """
        self._was_left = False
        if audio_s >= min(TELLING_S, self._window_s) or took_s < self._work_s(rung, audio_s):
            self.observed.append(took_s / (self._costs[rung] * audio_s))

    def leave(self, step: Step, audio_s: float, worked_s: float) -> None:
        """Learn from a step that was left: slower than predicted, it takes at least as long as it has taken."""
        if worked_s > step.takes_s:
            self.observe(step.rung, audio_s, worked_s)
        self._was_left = True

    def exclude(self, network: str, precision: str | None = None) -> None:
        """Take out the rungs that use a network, or only those in one precision."""
        self._costs = {
            rung: cost
            for rung, cost in self._costs.items()
            if network not in rung.networks or precision not in (None, rung.precision)
        }

    def _cheapest(self, remaining_s: float) -> Rung:
        return min(self._costs, key=lambda rung: (self.predict(rung, remaining_s), rung.overlap))

    def _work_s(self, rung: Rung, audio_s: float) -> float:
        return max(1e-9, self._costs[rung] * (1.0 if self.slowdown is None else self.slowdown) * audio_s)

    def _step(self, rung: Rung, chunk_s: float, remaining_s: float, limit_s: float, batch: int) -> Step:
        """As many chunks as fit into a time, at least one."""
        one_s = self._work_s(rung, chunk_s)
        num_chunks = 1 if chunk_s < self._window_s else max(1, min(batch, math.floor(limit_s / one_s)))
        covers_s = min(remaining_s, chunk_s * (1 + (num_chunks - 1) * (1 - rung.overlap)))
        return Step(rung, num_chunks, chunk_s, num_chunks * one_s, covers_s, remaining_s)


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
