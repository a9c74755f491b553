"""Random mixing: training mixtures that nobody recorded.

Source: Luo & Yu 2022, section 4.1. Differs: crops are drawn anywhere in a stem that is not silent throughout, which the
replication found better than the paper's activity detection (7.5 against 7.1 dB); and what the settings beyond the
paper's add.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.training.augmentation import SPEED_STEPS, change_speed, draw_speed, speed_margin, speed_span
from models.training.config import DataConfig
from models.training.packs import Pack, PackedTrack

SILENCE = 1e-8


@dataclass(frozen=True)
class Batch:
    """Training examples.

    Attributes:
        mixture: [B, C, T].
        targets: [B, S, C, T]; they sum to the mixture.
        origins: for each example, what it was made of, for messages.
    """

    mixture: Tensor
    targets: Tensor
    origins: tuple[str, ...]


@dataclass(frozen=True)
class _Take:
    """What is drawn once for a source, and once for all sources of a recorded song."""

    track: PackedTrack
    start: int
    channels: range
    speed: int


class _Pool:
    """Tracks to draw from, the likelier the longer they are, by the square root of their length."""

    def __init__(self, tracks: Sequence[PackedTrack]) -> None:
        self.tracks = tuple(tracks)
        weights = np.sqrt([track.num_samples for track in tracks])
        self.weights = weights / weights.sum()

    def draw(self, generator: np.random.Generator, num_samples: int) -> tuple[PackedTrack, int]:
        """A track, and the first of ``num_samples`` samples that lie in it where it is long enough."""
        track = self.tracks[generator.choice(len(self.tracks), p=self.weights)]
        return track, int(generator.integers(max(1, track.num_samples - num_samples + 1)))


class RandomMixer:
    """Makes the batch of any step; example i of a step follows from seed, step and i alone.

    For each example and source: a track (likelier the longer it is, by the square root of its length), a crop, a
    channel, a speed, a gain, and a small chance to be left out. With probability ``1 - remix`` an example is a recorded
    song instead: one track, crop, channel and speed for all sources; gains and omissions are drawn as always. Mixture
    and targets are divided by their common peak.

    A mixer holds no open files: it can be pickled, and workers may share the examples of a batch.

    Args:
        pack: decoded tracks; those of its train split are used, rendered ones as ``config.rendered`` says.
        config: crop, channels, gains, drop, speed, remix, rendered.
        stems: the S sources, in the network's order; all must be in the pack.
        seed: any whole number.

    Raises:
        ValueError: a stem that the pack lacks or that is silent in every training track, no training track at all, or
            rendered sources asked for that no rendered track has.
    """

    def __init__(self, pack: Pack, config: DataConfig, stems: tuple[str, ...], seed: int) -> None:
        self.config, self.seed, self.sources = config, seed, pack.stems
        self.crop = max(1, round(config.crop_s * pack.sample_rate))
        training = pack.split("train")
        tracks = [track for track in training if not track.rendered]
        if not tracks:
            raise ValueError("expected at least one training track, got 0; name a folder with a train split")
        if missing := sorted(set(stems) - set(pack.stems)):
            raise ValueError(f"the data has stems {', '.join(pack.stems)}, the model asks for {', '.join(missing)} too")
        self.outputs = [pack.stems.index(stem) for stem in stems]
        self.pools = [self._pool(tracks, source, "training") for source in range(len(pack.stems))]
        self.songs = _Pool([track for track in tracks if not all(track.silent)])
        rendered = [track for track in training if track.rendered]
        self.rendered_pools = {
            source: self._pool(rendered, source, "rendered")
            for source, name in enumerate(pack.stems)
            if config.rendered and name in config.rendered_stems
        }

    def _pool(self, tracks: list[PackedTrack], source: int, kind: str) -> _Pool:
        usable = [track for track in tracks if not track.silent[source]]
        if not usable:
            advice = "leave it out of the model" if kind == "training" else "set data.rendered=0 or data.rendered_stems"
            raise ValueError(f"stem {self.sources[source]!r} is silent in all {len(tracks)} {kind} tracks; {advice}")
        return _Pool(usable)

    def batch(self, step: int, size: int, part: slice | None = None) -> Batch:
        """The batch of a step: ``size`` examples, or those that ``part`` selects out of them."""
        indices = range(size)[part] if part is not None else range(size)
        examples = [self._example(np.random.default_rng([self.seed, step, index])) for index in indices]
        sources = torch.from_numpy(np.stack([example for example, _ in examples]))
        mixture = sources.sum(dim=1)
        targets = sources[:, self.outputs]
        peak = torch.maximum(mixture.abs().amax(dim=(1, 2)), targets.abs().amax(dim=(1, 2, 3))).clamp_min(SILENCE)
        origins = tuple(origin for _, origin in examples)
        return Batch(mixture / peak[:, None, None], targets / peak[:, None, None, None], origins)

    def _example(self, generator: np.random.Generator) -> tuple[np.ndarray, str]:
        config = self.config
        example = np.zeros((len(self.sources), config.channels, self.crop), dtype=np.float32)
        origins = []
        song = self._take(generator, self.songs) if generator.random() >= config.remix else None
        for source in range(len(self.sources)):
            take = song or self._take(generator, self._draw_pool(generator, source))
            gain = 10 ** (generator.uniform(-config.gain_db, config.gain_db) / 20)
            if generator.random() < config.drop or take.track.silent[source]:
                continue
            example[source] = self._audio(take, source) * np.float32(gain)
            speed = f" at speed {take.speed / SPEED_STEPS:.3f}" if take.speed != SPEED_STEPS else ""
            origins.append(f"{self.sources[source]} of {take.track.name!r} at sample {take.start}{speed}")
        return example, "; ".join(origins) or "silence"

    def _draw_pool(self, generator: np.random.Generator, source: int) -> _Pool:
        if source in self.rendered_pools and generator.random() < self.config.rendered:
            return self.rendered_pools[source]
        return self.pools[source]

    def _take(self, generator: np.random.Generator, pool: _Pool) -> _Take:
        speed = draw_speed(generator, self.config.speed_semitones)
        track, start = pool.draw(generator, speed_span(self.crop, speed))
        channel = int(generator.integers(2))
        return _Take(track, start, range(channel, channel + 1) if self.config.channels == 1 else range(2), speed)

    def _audio(self, take: _Take, source: int) -> np.ndarray:
        margin = speed_margin(take.speed)
        length = speed_span(self.crop, take.speed) + 2 * margin
        audio = take.track.read(source, take.channels, take.start - margin, length)
        return change_speed(audio, self.crop, take.speed)
