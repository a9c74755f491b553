"""Chooses the best mode of separation that ends in time, anew for each step of a track.

A `Mode` says which networks run, how much their chunks overlap, and in which precision. The modes are sorted, the best
first. The cost of each was measured on a second of noise. The steps of a track show how much slower or faster the
machine is now.

The rule: after a stall of any length, the cheapest mode can use all of the remaining time. So a better mode starts a
step only if the cheapest could still separate the whole rest afterwards. A running step is abandoned when waiting
longer would break this rule.

The planner does not read the clock: the caller passes the times.
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
"""No network runs in the last 0.1 s of the allowed time: files must be read and written, on a busy machine too. So no
network runs for tracks under 64 ms, which are shorter than its analysis window."""
SHORTEST_STEP_S = 0.25
"""Seconds of audio; a network takes as long for shorter chunks."""
MEANINGFUL_S = 1.0
"""Seconds of audio; the time of a shorter step says little about the machine's speed."""
NUM_RECENT = 3
"""Steps whose median gives the slowdown."""


@dataclass(frozen=True)
class Mode:
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
        """The text for reports."""
        return f"{' + '.join(self.networks)}, overlap {self.overlap:g}, {self.precision}"


@dataclass(frozen=True)
class Step:
    """The next step of a track.

    Attributes:
        mode: how it is separated.
        num_chunks: the largest number of chunks.
        chunk_s: length of each chunk, seconds; shorter than the usual one when the time is short.
        takes_s: predicted time, seconds.
        covers_s: audio that no earlier step has covered, seconds.
        remaining_s: audio that was not covered before this step, seconds.
    """

    mode: Mode
    num_chunks: int
    chunk_s: float
    takes_s: float
    covers_s: float
    remaining_s: float


def list_modes(
    choices: Sequence[tuple[str, ...]], overlap: float, costs: Mapping[tuple[str, str], float]
) -> dict[Mode, float]:
    """The modes, the best first, each with its cost: seconds of work for a second of audio.

    For each choice of networks, full overlap comes before none, and float32 before half. Half precision loses less
    quality than a missing overlap.

    Args:
        choices: sets of networks, the best first.
        overlap: the overlap of the networks' settings.
        costs: seconds of work for a second of audio, by (network, precision); only those that work here.
    """
    modes = {}
    for networks in choices:
        for fraction in dict.fromkeys((overlap, 0.0)):
            for precision in ("float32", "half"):
                if all((network, precision) in costs for network in networks):
                    cost = sum(costs[network, precision] for network in networks)
                    modes[Mode(networks, fraction, precision)] = cost
    return modes


class Planner:
    """Chooses the steps of one track.

    Args:
        modes: seconds of work for a second of audio in each mode; the best first.
        window_s: usual length of a chunk, seconds.
        slowdown: measured time over the time that `modes` predicts, from earlier tracks; None before any.
    """

    def __init__(self, modes: Mapping[Mode, float], window_s: float, slowdown: float | None = None) -> None:
        self._costs = {mode: max(cost, 1e-9) for mode, cost in modes.items()}
        self._window_s = window_s
        self._earlier = slowdown
        self._was_abandoned = False
        self.observed: list[float] = []

    @property
    def modes(self) -> list[Mode]:
        """The modes that were not excluded, the best first."""
        return list(self._costs)

    @property
    def slowdown(self) -> float | None:
        """Measured over predicted time: the median of this track's last three steps; before any, of earlier tracks."""
        return statistics.median_low(self.observed[-NUM_RECENT:]) if self.observed else self._earlier

    def choose(self, remaining_s: float, until_target_s: float, until_last_s: float, batch: int = 1) -> Step | None:
        """The next step, in the best mode that ends the track before the target; if there is none, in the cheapest.

        A mode other than the cheapest is chosen only if its step leaves the cheapest enough time for the whole rest,
        and not directly after an abandoned step. A step in the cheapest mode takes at most half of the remaining time,
        with shorter chunks if necessary, so that a wrong prediction loses only half of it.

        Before the first measured step, the target is `until_last_s`: the costs were measured on noise, which takes
        longer for each second than a chunk.

        Args:
            remaining_s: audio that no chunk has covered yet, seconds.
            until_target_s: time until the track should be done, seconds.
            until_last_s: time until no network may run any more, seconds.
            batch: chunks that may go through a network at once.

        Returns:
            The step; None if no mode or no time remains.
        """
        if not self._costs or until_last_s <= 0:
            return None
        if self.slowdown is None:
            until_target_s = until_last_s
        cheapest = self._cheapest(remaining_s)
        spare_s = until_last_s - self.predict(cheapest, remaining_s)
        chunk_s = min(remaining_s, self._window_s)
        for mode in self._costs:
            if mode == cheapest or self._was_abandoned:
                break
            if self.predict(mode, remaining_s) <= until_target_s and self._work_s(mode, chunk_s) <= spare_s:
                return self._step(mode, chunk_s, remaining_s, spare_s, batch)
        if (full_s := self._work_s(cheapest, chunk_s)) > until_last_s / 2:
            chunk_s = min(chunk_s, max(SHORTEST_STEP_S, chunk_s * until_last_s / 2 / full_s))
        return self._step(cheapest, chunk_s, remaining_s, until_last_s / 2, batch)

    def should_abandon(self, step: Step, worked_s: float, until_last_s: float) -> bool:
        """Whether to abandon a running step and separate its audio in the cheapest mode.

        Args:
            step: the running step.
            worked_s: how long it has run, without the time in which the whole machine stood still, seconds.
            until_last_s: time until no network may run any more, seconds.
        """
        cheapest = self._cheapest(step.remaining_s)
        is_cheapest = step.mode == cheapest
        if is_cheapest and step.chunk_s <= SHORTEST_STEP_S:
            return False  # no smaller step exists
        left_s = step.takes_s - worked_s
        if left_s < 0:  # slower than predicted; assume the same of the cheapest mode
            slower = worked_s / step.takes_s
            return not is_cheapest and until_last_s < slower * self.predict(cheapest, step.remaining_s)
        if left_s > until_last_s:
            return True
        is_costly = left_s > self.predict(cheapest, step.covers_s)  # starting again would be faster than finishing
        return is_costly and left_s + self.predict(cheapest, step.remaining_s - step.covers_s) > until_last_s

    def predict(self, mode: Mode, remaining_s: float) -> float:
        """Predicted seconds of work for the rest of a track in a mode."""
        return self._work_s(mode, processed_s(remaining_s, self._window_s, mode.overlap))

    def observe(self, mode: Mode, audio_s: float, took_s: float) -> None:
        """Update the slowdown with a measured step: `audio_s` seconds of audio took `took_s` seconds in a mode.

        A short step is mostly set-up, so it counts only if it was faster than predicted.
        """
        self._was_abandoned = False
        if audio_s >= min(MEANINGFUL_S, self._window_s) or took_s < self._work_s(mode, audio_s):
            self.observed.append(took_s / (self._costs[mode] * audio_s))

    def abandon(self, step: Step, audio_s: float, worked_s: float) -> None:
        """Update the slowdown with an abandoned step, if it had already run longer than predicted."""
        if worked_s > step.takes_s:
            self.observe(step.mode, audio_s, worked_s)
        self._was_abandoned = True

    def exclude(self, network: str, precision: str | None = None) -> None:
        """Remove the modes that use a network, or only those in one precision."""
        self._costs = {
            mode: cost
            for mode, cost in self._costs.items()
            if network not in mode.networks or precision not in (None, mode.precision)
        }

    def _cheapest(self, remaining_s: float) -> Mode:
        return min(self._costs, key=lambda mode: (self.predict(mode, remaining_s), mode.overlap))

    def _work_s(self, mode: Mode, audio_s: float) -> float:
        return max(1e-9, self._costs[mode] * (1.0 if self.slowdown is None else self.slowdown) * audio_s)

    def _step(self, mode: Mode, chunk_s: float, remaining_s: float, limit_s: float, batch: int) -> Step:
        """A step of as many chunks as fit into `limit_s`, at least one."""
        one_s = self._work_s(mode, chunk_s)
        num_chunks = 1 if chunk_s < self._window_s else max(1, min(batch, math.floor(limit_s / one_s)))
        covers_s = min(remaining_s, chunk_s * (1 + (num_chunks - 1) * (1 - mode.overlap)))
        return Step(mode, num_chunks, chunk_s, num_chunks * one_s, covers_s, remaining_s)


def processed_s(remaining_s: float, window_s: float, overlap: float) -> float:
    """Seconds of audio that a network processes for the rest of a track; the overlap of two chunks counts twice."""
    num_joints = max(0, math.ceil((remaining_s - window_s) / (window_s * (1 - overlap))))
    return remaining_s + num_joints * window_s * overlap


class BatchSize:
    """The number of chunks in a batch: doubled as long as that makes a second of audio faster.

    Args:
        start: the first size.
        largest: the largest size.

    Attributes:
        size: the current size.
    """

    WORTHWHILE = 0.9

    def __init__(self, start: int, largest: int) -> None:
        self.size = start
        self._largest = largest
        self._settled = start >= largest
        self._tried: tuple[int, float] | None = None

    def observe(self, size: int, cost: float) -> None:
        """Update the size with the seconds of work for a second of audio; a last, smaller batch does not count."""
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
        """Halve the size permanently, because memory ran out; returns False if it was already 1."""
        self._settled = True
        if self.size == 1:
            return False
        self.size //= 2
        return True
