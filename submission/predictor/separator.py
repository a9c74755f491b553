"""Separates a track within a deadline: chunk by chunk, in the best mode that the remaining time allows.

Every step runs in its own thread, which is abandoned when it takes too long. So a track is in time even if the machine
hangs. What was separated until then is kept. The rest gets the last resort: a quarter of the mixture for each of four
stems. At full quality the result is bit-identical to that of `NetworkSeparator.separate`.
"""

import statistics
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from models.separation.separator import NetworkSeparator
from models.signal.resampling import resample_blocks
from submission.predictor.attempt import Attempt, Clock, make_abandonable
from submission.predictor.costs import measure_costs, separate_in
from submission.predictor.separation_record import LAST_RESORT, SeparationRecord
from submission.predictor.stem_buffer import StemBuffer
from submission.predictor.time_limit import (
    HANDOVER_S,
    LAST_SHARE,
    TARGET_SHARE,
    BatchSize,
    Mode,
    Planner,
    Step,
    list_modes,
)

LARGEST_GPU_BATCH = 8
NUM_RESAMPLED_BLOCKS = 8


class DeadlineSeparator:
    """Separates tracks in time, with an ensemble of networks or, when time is short, with fewer or faster ones.

    Args:
        stems: the S stems to return, in order.
        ensemble: networks whose estimates are averaged, stem by stem; together they have all stems. Chunks are cut by
            the settings of the first one.
        fallbacks: faster networks with all stems, the better first.
        clock: the time.
        shares: the weight of each network of the ensemble in each of its stems, {stem: share}; 0 for a stem that is not
            named. By default all weights are equal.

    Raises:
        ValueError: a stem is missing, or the networks work at different rates or numbers of channels.
    """

    def __init__(
        self,
        stems: Sequence[str],
        ensemble: Sequence[NetworkSeparator],
        fallbacks: Sequence[NetworkSeparator] = (),
        clock: Clock | None = None,
        shares: Sequence[Mapping[str, float]] | None = None,
    ) -> None:
        self.stems = tuple(stems)
        self._clock = clock or Clock()
        members = [f"{separator.name} ({index})" for index, separator in enumerate(ensemble)]
        spares = [f"{separator.name} (fallback)" for separator in fallbacks]
        names = [separator.name for separator in ensemble]
        members = names if len(set(names)) == len(names) else members
        self._networks = dict(zip([*members, *spares], [*ensemble, *fallbacks], strict=True))
        counting = [*(shares or [dict.fromkeys(network.stems, 1.0) for network in ensemble])]
        counting += [dict.fromkeys(network.stems, 1.0) for network in fallbacks]
        self._shares = dict(zip(self._networks, counting, strict=True))
        choices = [tuple(members), self._cover(members), *((spare,) for spare in spares)]
        for choice in dict.fromkeys(choices):
            self._check(choice)
        for network in self._networks.values():
            make_abandonable(network.network)
        first = ensemble[0]
        self.sample_rate, self.channels = first.sample_rate, first.channels
        self._window = first.settings.window_size(first.sample_rate)
        self._batch = BatchSize(first.settings.batch, LARGEST_GPU_BATCH if first.device.type == "cuda" else 0)
        self._slowdowns: deque[float] = deque(maxlen=3)  # of the last tracks
        costs = measure_costs(self._networks, self.channels, self.sample_rate, self._clock)
        self._modes = list_modes(list(dict.fromkeys(choices)), first.settings.overlap, costs)
        self._best = str(Mode(tuple(members), first.settings.overlap, "float32"))

    def separate(
        self, mixture: Tensor, sample_rate: int, started: float, limit_s: float
    ) -> tuple[Tensor, SeparationRecord]:
        """Separate a mixture in time.

        Args:
            mixture: [C, T] float32, finite; any C, T at least 1.
            sample_rate: Hz.
            started: time of the clock at which the limit began to run.
            limit_s: the allowed time from then on, seconds.

        Returns:
            The stems [S, C, T], and the record of how they were made.
        """
        track = _Track(self, mixture, sample_rate, started, limit_s)
        stems = track.separate()
        if track.planner.observed and track.planner.slowdown is not None:
            self._slowdowns.append(track.planner.slowdown)
        return stems, track.account

    def run(self, mode: Mode, chunks: Tensor) -> Tensor:
        """Put chunks [B, C, t] through the networks of a mode; returns [B, S, C, t]."""
        batch, channels, length = chunks.shape
        if channels != self.channels:  # each channel becomes an example, repeated to the network's channels
            chunks = chunks.reshape(batch * channels, 1, length).expand(-1, self.channels, -1)
        sums = torch.zeros(len(chunks), len(self.stems), self.channels, length)
        totals = torch.zeros(len(self.stems), 1, 1)
        for name in mode.networks:
            network, shares = self._networks[name], self._shares[name]
            estimates = separate_in(mode.precision, network, chunks)
            for index, stem in enumerate(network.stems):
                if stem in self.stems and stem in shares:
                    place = self.stems.index(stem)
                    sums[:, place] += shares[stem] * estimates[:, index]
                    totals[place] += shares[stem]
        stems = sums / totals
        if channels != self.channels:
            stems = stems.mean(dim=2).reshape(batch, channels, len(self.stems), length).transpose(1, 2)
        return stems

    def plan(self, channels: int) -> Planner:
        """A planner for a track with this number of channels.

        The slowdown is the median of 1 (as measured when the class was built) and of the last three tracks. So a single
        track on a disturbed machine does not change it.
        """
        examples = 1 if channels == self.channels else channels  # see `run`
        slowdown = statistics.median_low([1.0, *self._slowdowns]) if self._slowdowns else None
        costs = {mode: examples * cost for mode, cost in self._modes.items()}
        return Planner(costs, self._window / self.sample_rate, slowdown)

    def _cover(self, members: list[str]) -> tuple[str, ...]:
        """The first members that together have all stems."""
        chosen, missing = [], set(self.stems)
        for name in members:
            if missing & set(self._shares[name]):
                chosen.append(name)
                missing -= set(self._shares[name])
        return tuple(chosen)

    def _check(self, choice: tuple[str, ...]) -> None:
        if missing := set(self.stems) - {stem for name in choice for stem in self._shares[name]}:
            raise ValueError(
                f"expected networks with the stems {', '.join(self.stems)}, got {' + '.join(choice)} without "
                f"{', '.join(sorted(missing))}; add a network that has them"
            )
        traits = {(network.sample_rate, network.channels) for network in self._networks.values()}
        if len(traits) > 1:
            listed = ", ".join(f"{rate} Hz with {channels} channels" for rate, channels in sorted(traits))
            raise ValueError(f"expected networks with one sample rate and one number of channels, got {listed}")


class _Track:
    """The separation of one track: its planner, its record and its deadline."""

    def __init__(
        self, separator: DeadlineSeparator, mixture: Tensor, sample_rate: int, started: float, limit_s: float
    ) -> None:
        self.account = SeparationRecord(limit_s, separator._best)
        self.planner = separator.plan(len(mixture))
        self._separator = separator
        self._clock = separator._clock
        self._mixture, self._rate = mixture, sample_rate
        self._last = started + min(LAST_SHARE * limit_s, limit_s - HANDOVER_S)
        self._target = started + min(TARGET_SHARE * limit_s, limit_s - HANDOVER_S)

    def separate(self) -> Tensor:
        """Separate chunk by chunk until the end of the track or of the time; returns the stems [S, C, T]."""
        separator = self._separator
        buffer = self._prepare()
        while buffer is not None and buffer.covered < buffer.num_samples:
            remaining_s = (buffer.num_samples - buffer.covered) / separator.sample_rate
            now = self._clock()
            step = self.planner.choose(remaining_s, self._target - now, self._last - now, separator._batch.size)
            if step is None:
                break
            length = separator._window
            if step.chunk_s < remaining_s:
                length = min(length, max(1, round(step.chunk_s * separator.sample_rate)))
            starts = buffer.starts(step.num_chunks, length, step.mode.overlap)
            stems = self._try(step, buffer.cut(starts, length))
            if stems is not None:
                num_new = buffer.add(starts, stems, step.mode.overlap)
                self.account.add(str(step.mode), num_new / separator.sample_rate)
        return self._finish(buffer)

    def _prepare(self) -> StemBuffer | None:
        """Resample the mixture to the networks' rate, and reserve the time for resampling the stems back.

        Returns:
            A buffer for the stems; None if the mixture could not be resampled in time.
        """
        separator = self._separator
        if self._rate == separator.sample_rate:
            return StemBuffer(self._mixture, len(separator.stems), separator._window)
        if self._clock() >= self._last:
            return None
        attempt = Attempt(self._resample, self._clock)
        attempt.watch(self._last, lambda worked_s, until_last_s: False)
        if attempt.is_abandoned:
            return None
        try:
            resampled, took_s = attempt.result()
        except Exception as error:
            self.account.faults.append(_describe(error))
            return None
        back_s = 1.5 * len(separator.stems) * took_s
        self._last -= back_s
        self._target -= back_s
        return StemBuffer(resampled, len(separator.stems), separator._window)

    def _resample(self) -> tuple[Tensor, float]:
        """The mixture [C, T'] at the networks' rate, and the seconds that resampling takes, without set-up and stalls.

        The time is the median time of a block, times the number of blocks; the first block's time includes the set-up.
        """
        size = -(-self._mixture.shape[-1] // NUM_RESAMPLED_BLOCKS)
        asked: list[float] = []

        def blocks() -> Iterator[Tensor]:
            for block in self._mixture.split(size, dim=-1):
                asked.append(self._clock())
                yield block
            asked.append(self._clock())

        resampled = torch.cat(list(resample_blocks(blocks(), self._rate, self._separator.sample_rate)), dim=-1)
        times = [end - start for start, end in zip(asked, asked[1:], strict=False)]
        return resampled, statistics.median_low(times) * len(times)

    def _try(self, step: Step, chunks: Tensor) -> Tensor | None:
        """Run one step; returns its stems. None if it was abandoned or failed; the planner is updated accordingly."""
        separator, planner = self._separator, self.planner
        audio_s = chunks.shape[0] * chunks.shape[-1] / separator.sample_rate
        attempt = Attempt(lambda: separator.run(step.mode, chunks), self._clock)
        worked_s = attempt.watch(self._last, partial(planner.should_abandon, step))
        if attempt.is_abandoned:
            planner.abandon(step, audio_s, worked_s)
            return None
        try:
            stems = attempt.result()
        except torch.OutOfMemoryError:
            if not separator._batch.shrink():
                self._give_up(step.mode, "out of memory")
            return None
        except Exception as error:
            self._give_up(step.mode, _describe(error))
            return None
        if step.mode.precision == "half" and not stems.isfinite().all():
            for network in step.mode.networks:
                planner.exclude(network, "half")
            return None
        if (chunks != 0).flatten(1).any(dim=1).all():  # networks skip silence, so it does not show the speed
            planner.observe(step.mode, audio_s, worked_s)
            separator._batch.observe(len(chunks), worked_s / audio_s)
        return stems

    def _give_up(self, mode: Mode, reason: str) -> None:
        self.account.faults.append(f"{mode}: {reason}")
        for network in mode.networks:
            self.planner.exclude(network)

    def _finish(self, buffer: StemBuffer | None) -> Tensor:
        """The stems at the mixture's rate, [S, C, T]."""
        separator = self._separator
        num_stems, num_samples = len(separator.stems), self._mixture.shape[-1]
        if buffer is None or buffer.covered == 0:
            self.account.add(LAST_RESORT, num_samples / self._rate)
            return (self._mixture / num_stems).expand(num_stems, -1, -1)
        if buffer.covered < buffer.num_samples:
            self.account.add(LAST_RESORT, (buffer.num_samples - buffer.covered) / separator.sample_rate)
        pieces = list(resample_blocks([buffer.finish()], separator.sample_rate, self._rate))
        return torch.cat(pieces, dim=-1)[..., :num_samples] if len(pieces) > 1 else pieces[0][..., :num_samples]


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
