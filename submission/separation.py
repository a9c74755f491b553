"""Separates a track within a deadline: chunk by chunk, with the best that the time left allows.

The work is done by a thread; when the last moment comes, what is done is taken and the thread is left to itself, so not
even a machine that hangs makes a track late. What no network has covered is the last resort: a quarter of the mixture
for each of four stems. At full quality the result is `NetworkSeparator.separate`'s, to the bit.
"""

import threading
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from models.chunking import triangle_window
from models.resampling import resample_blocks
from models.separator import NetworkSeparator
from submission.account import LAST_RESORT, Account
from submission.deadline import LAST_SHARE, TARGET_SHARE, BatchSize, Planner, Rung, ladder

WARM_UP_S = 1.0
WARM_UP_RUNS = 3
WARM_UP_LIMIT_S = 0.5
MEASURING_LIMIT_S = 60.0
"""Building has 300 s; on a busy machine a first run takes seconds, and alone would stand for a network's speed."""
LARGEST_GPU_BATCH = 8
POLL_S = 0.02


class DeadlineSeparator:
    """Separates tracks with an ensemble of networks, or less, so that each is done in time.

    Args:
        stems: the S stems to return, in order.
        ensemble: networks whose estimates are averaged, stem by stem; together they have all stems. The first one's
            settings cut the chunks.
        fallbacks: cheaper networks with all stems, the better first.
        clock: seconds, from any zero.

    Raises:
        ValueError: a stem is missing, or the networks work at different rates or numbers of channels.
    """

    def __init__(
        self,
        stems: Sequence[str],
        ensemble: Sequence[NetworkSeparator],
        fallbacks: Sequence[NetworkSeparator] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stems = tuple(stems)
        self._clock = clock
        members = [f"{separator.name} ({index})" for index, separator in enumerate(ensemble)]
        spares = [f"{separator.name} (fallback)" for separator in fallbacks]
        names = [separator.name for separator in ensemble]
        members = names if len(set(names)) == len(names) else members
        self._networks = dict(zip([*members, *spares], [*ensemble, *fallbacks], strict=True))
        choices = [tuple(members), self._cover(members), *((spare,) for spare in spares)]
        for choice in dict.fromkeys(choices):
            self._check(choice)
        first = ensemble[0]
        self.sample_rate, self.channels = first.sample_rate, first.channels
        self._window = first.settings.window_size(first.sample_rate)
        self._batch = BatchSize(first.settings.batch, LARGEST_GPU_BATCH if first.device.type == "cuda" else 0)
        self._slowdown: float | None = None
        costs = self._measure()
        self._rungs = ladder(list(dict.fromkeys(choices)), first.settings.overlap, costs)
        self._best = str(Rung(tuple(members), first.settings.overlap, "float32"))

    def separate(self, mixture: Tensor, sample_rate: int, started: float, limit_s: float) -> tuple[Tensor, Account]:
        """Separate a mixture in time.

        Args:
            mixture: [C, T] float32, finite; any C, T at least 1.
            sample_rate: Hz.
            started: when the time began to run, by the clock.
            limit_s: the time allowed from then on, seconds.

        Returns:
            The stems [S, C, T], and how they were made.
        """
        account = Account(limit_s, self._best)
        planner = Planner(self._rungs, self._window / self.sample_rate, self._slowdown)
        job = _Job(self, mixture, sample_rate, planner, account, started)
        thread = threading.Thread(target=job.run, daemon=True)
        thread.start()
        while thread.is_alive() and self._clock() < started + LAST_SHARE * limit_s:
            thread.join(POLL_S)
        stems = job.take()
        self._slowdown = planner.slowdown
        return stems, account

    def run(self, rung: Rung, chunks: Tensor) -> Tensor:
        """Put chunks [B, C, t] through the networks of a rung; returns [B, S, C, t]."""
        batch, channels, length = chunks.shape
        if channels != self.channels:  # each channel is an example of its own
            chunks = chunks.reshape(batch * channels, 1, length).expand(-1, self.channels, -1)
        sums = torch.zeros(len(chunks), len(self.stems), self.channels, length)
        counts = torch.zeros(len(self.stems), 1, 1)
        for name in rung.networks:
            network = self._networks[name]
            places = [self.stems.index(stem) for stem in network.stems if stem in self.stems]
            wanted = [index for index, stem in enumerate(network.stems) if stem in self.stems]
            sums[:, places] += _separate(network, chunks, rung.precision)[:, wanted]
            counts[places] += 1
        stems = sums / counts
        if channels != self.channels:
            stems = stems.mean(dim=2).reshape(batch, channels, len(self.stems), length).transpose(1, 2)
        return stems

    def _cover(self, members: list[str]) -> tuple[str, ...]:
        """The first members that have all stems between them."""
        chosen, missing = [], set(self.stems)
        for name in members:
            if missing & set(self._networks[name].stems):
                chosen.append(name)
                missing -= set(self._networks[name].stems)
        return tuple(chosen)

    def _check(self, choice: tuple[str, ...]) -> None:
        if missing := set(self.stems) - {stem for name in choice for stem in self._networks[name].stems}:
            raise ValueError(
                f"the challenge needs {', '.join(self.stems)}; {' + '.join(choice)} lacks {', '.join(sorted(missing))}"
            )
        traits = {(network.sample_rate, network.channels) for network in self._networks.values()}
        if len(traits) > 1:
            listed = ", ".join(f"{rate} Hz with {channels} channels" for rate, channels in sorted(traits))
            raise ValueError(f"the networks must have one sample rate and one number of channels, got {listed}")

    def _measure(self) -> dict[tuple[str, str], float]:
        """Seconds of work for a second of audio of each network, in each precision that works here, by some noise."""
        noise = 0.1 * torch.randn(
            1, self.channels, round(WARM_UP_S * self.sample_rate), generator=torch.Generator().manual_seed(0)
        )
        costs = {}
        begun = self._clock()
        for precision in ("float32", "half"):
            for name, network in self._networks.items():
                if precision == "half" and self._clock() - begun > MEASURING_LIMIT_S:
                    continue  # a machine this slow is not kept waiting
                try:
                    times, is_usable = self._time(network, noise, precision, begun)
                except RuntimeError:
                    if precision == "float32":
                        raise
                    continue
                if is_usable or precision == "float32":
                    costs[name, precision] = min(times) / WARM_UP_S
        return costs

    def _time(self, network: NetworkSeparator, noise: Tensor, precision: str, begun: float) -> tuple[list[float], bool]:
        """Seconds of each run on the noise, the first of which also pays for what later ones find ready."""
        times: list[float] = []
        is_usable = True
        while len(times) < WARM_UP_RUNS and is_usable:
            start = self._clock()
            is_usable = bool(_separate(network, noise, precision).isfinite().all())
            end = self._clock()
            times.append(end - start)
            if sum(times) > WARM_UP_LIMIT_S and (len(times) > 1 or end - begun > MEASURING_LIMIT_S):
                break
        return times, is_usable


class _Job:
    """One track: what the thread works on, and what is taken from it when the time is over."""

    def __init__(
        self,
        separator: DeadlineSeparator,
        mixture: Tensor,
        sample_rate: int,
        planner: Planner,
        account: Account,
        started: float,
    ) -> None:
        self._separator = separator
        self._mixture = mixture
        self._sample_rate = sample_rate
        self._planner = planner
        self._account = account
        self._started = started
        self._lock = threading.Lock()
        self._is_over = False
        self._heard: Tensor | None = None  # the mixture at the networks' rate, [C, T']
        self._total: Tensor | None = None  # weighted sums of the stems, [S, C, T']
        self._gain: Tensor | None = None  # sums of the weights, [T']
        self._covered = 0  # leading samples that a chunk has reached
        self._back_s = 0.0  # time that bringing the stems back to the mixture's rate will take
        self._step: tuple[Rung, float, float] | None = None  # rung, audio and start of the step that is running

    def run(self) -> None:
        """Separate chunk by chunk until all is done or there is no time for one more; never raises."""
        try:
            self._prepare()
            self._separate()
        except Exception as error:
            with self._lock:
                self._account.faults.append(f"{type(error).__name__}: {' '.join(str(error).split())}")

    def take(self) -> Tensor:
        """End the work; returns the stems [S, C, T], the last resort where there are none."""
        separator = self._separator
        with self._lock:
            self._is_over = True
            covered = self._covered
            if self._step is not None:  # still running: it takes at least as long as it has taken
                rung, audio_s, start = self._step
                self._planner.observe(rung, audio_s, separator._clock() - start)
        num_stems, num_samples = len(separator.stems), self._mixture.shape[-1]
        if covered == 0 or self._heard is None or self._total is None or self._gain is None:
            self._account.add(LAST_RESORT, num_samples / self._sample_rate)
            return (self._mixture / num_stems).expand(num_stems, -1, -1)
        stems = self._total
        stems[..., :covered] /= self._gain[:covered]
        if covered < stems.shape[-1]:
            stems[..., covered:] = self._heard[:, covered:] / num_stems
            self._account.add(LAST_RESORT, (stems.shape[-1] - covered) / separator.sample_rate)
        pieces = list(resample_blocks([stems], separator.sample_rate, self._sample_rate))
        return torch.cat(pieces, dim=-1)[..., :num_samples] if len(pieces) > 1 else pieces[0][..., :num_samples]

    def _prepare(self) -> None:
        separator, clock = self._separator, self._separator._clock
        start = clock()
        heard = torch.cat(list(resample_blocks([self._mixture], self._sample_rate, separator.sample_rate)), dim=-1)
        if self._sample_rate != separator.sample_rate:
            self._back_s = 1.5 * len(separator.stems) * (clock() - start)
        self._heard = heard
        self._total = torch.zeros(len(separator.stems), *heard.shape)
        self._gain = torch.zeros(heard.shape[-1])

    def _separate(self) -> None:
        separator, planner, rate = self._separator, self._planner, self._separator.sample_rate
        window = separator._window
        weights = triangle_window(window)
        assert self._heard is not None and self._total is not None and self._gain is not None
        num_samples = self._heard.shape[-1]
        start = 0
        while self._covered < num_samples:
            rung = planner.choose(
                (num_samples - self._covered) / rate, self._left(TARGET_SHARE), self._left(LAST_SHARE)
            )
            if rung is None:
                return
            hop = max(1, round(window * (1 - rung.overlap)))
            starts = self._next_starts(start, hop, num_samples)
            chunks = torch.stack([self._heard[:, at : at + window] for at in starts])
            stems = self._try(rung, chunks)
            if stems is None:
                continue
            with self._lock:
                if self._is_over:
                    return
                for at, result in zip(starts, stems, strict=True):
                    end = at + result.shape[-1]
                    weight = weights[: result.shape[-1]]
                    self._total[..., at:end] += result * weight
                    self._gain[at:end] += weight
                self._account.add(str(rung), (end - self._covered) / rate)
                self._covered = end
            start = starts[-1] + hop

    def _next_starts(self, start: int, hop: int, num_samples: int) -> list[int]:
        """Starts of the chunks of the next step: a batch of whole chunks, or the last one that is shorter."""
        window = self._separator._window
        starts = [start]
        while len(starts) < self._separator._batch.size and starts[-1] + hop + window <= num_samples:
            starts.append(starts[-1] + hop)
        return starts

    def _try(self, rung: Rung, chunks: Tensor) -> Tensor | None:
        """One step; None if it failed, after taking out of the plan what made it fail."""
        separator, planner = self._separator, self._planner
        audio_s = chunks.shape[0] * chunks.shape[-1] / separator.sample_rate
        start = separator._clock()
        self._step = rung, audio_s, start
        try:
            stems = separator.run(rung, chunks)
        except torch.OutOfMemoryError:
            if not separator._batch.shrink():
                self._give_up(rung, "out of memory")
            return None
        except Exception as error:
            self._give_up(rung, f"{type(error).__name__}: {' '.join(str(error).split())}")
            return None
        finally:
            self._step = None
        if rung.precision == "half" and not stems.isfinite().all():
            for network in rung.networks:
                planner.exclude(network, "half")
            return None
        if (chunks != 0).flatten(1).any(dim=1).all():  # silence costs nothing and tells nothing
            took_s = separator._clock() - start
            planner.observe(rung, audio_s, took_s)
            separator._batch.observe(len(chunks), took_s / audio_s)
        return stems

    def _give_up(self, rung: Rung, reason: str) -> None:
        with self._lock:
            self._account.faults.append(f"{rung}: {reason}")
        for network in rung.networks:
            self._planner.exclude(network)

    def _left(self, share: float) -> float:
        """Seconds until a share of the allowed time is over, less what the way back to the mixture's rate takes."""
        end = self._started + share * self._account.limit_s - self._back_s
        return end - self._separator._clock()


def _separate(network: NetworkSeparator, chunks: Tensor, precision: str) -> Tensor:
    """Chunks [B, C, t] to stems [B, S, C, t], float32."""
    if precision == "float32":
        return network.separate_chunks(chunks)
    dtype = torch.float16 if network.device.type == "cuda" else torch.bfloat16
    with torch.autocast(network.device.type, dtype):
        return network.separate_chunks(chunks)
