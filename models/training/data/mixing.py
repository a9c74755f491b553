"""Random mixing: training mixtures that nobody recorded.

Source: Luo & Yu 2022, section 4.1. Differs: what settings beyond the defaults of ``DataConfig`` add. One is crops from
anywhere in a stem, which the replication found better than the paper's activity detection (7.5 against 7.1 dB).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.presets.training import DataConfig
from models.training.data.activity import salient_index
from models.training.data.augmentation import SPEED_STEPS, change_speed, draw_speed, speed_margin, speed_span
from models.training.data.packs import Pack
from models.training.data.pools import MoreMusic, SegmentPool, Sources, pack_pool

SILENCE = 1e-8
SIDE_SHARE = 1 / 3
"""Of the examples of mid or side: the mid holds most of the music."""
LEAVE_OUT = "training tracks; leave it out of the model"
DO_NOT_RENDER = "rendered tracks; change data.rendered_stems, or set data.rendered=0"


@dataclass(frozen=True)
class Batch:
    """Training examples.

    Attributes:
        mixture: [B, C, T].
        targets: [B, S, C, T], or of the first channels only; they sum to the mixture.
        origins: for each example, what it was made of, for messages.
    """

    mixture: Tensor
    targets: Tensor
    origins: tuple[str, ...]


@dataclass(frozen=True)
class _Take:
    """What is drawn once for a source, and once for all sources of a recorded song."""

    track: Sources
    start: int
    channels: tuple[int, ...]
    speed: int
    backwards: bool

    def __str__(self) -> str:
        """For messages."""
        speed = f" at speed {self.speed / SPEED_STEPS:.3f}" if self.speed != SPEED_STEPS else ""
        return f"{self.track.name!r} at sample {self.start}{speed}{' backwards' if self.backwards else ''}"


class RandomMixer:
    """Makes the batch of any step; example i of a step follows from seed, step and i alone.

    For each example and source: a salient segment of any track (or, with ``crops="random"``, a track, all equally
    likely), a crop in it, a channel, the augmentations that are asked for, a gain, and a small chance to be left out.
    With probability ``1 - remix`` an example is a recorded song instead: one track and crop for all sources, a moment
    at which any of them plays, and the same channels, speed and direction; gain and omission are each source's own.
    Mixture and targets are divided by their common peak.

    With ``more`` music, a source that is drawn comes from there with the probability that it says. With the same
    probability, all sources of an example but one, drawn first, are a rest: of one segment, with one gain.

    A mixer holds no open files: it can be pickled, and workers may share the examples of a batch.

    Args:
        pack: decoded tracks; those of its train split are used, rendered ones as ``config.rendered`` says.
        config: what examples are made of.
        stems: the S sources, in the network's order; all must be in the pack.
        seed: any whole number.
        stereo_mixture: give mixtures both channels where ``config.channels`` is 1; the targets are those of the first.
        more: music beside the pack's, for examples that are no recorded songs.

    Raises:
        ValueError: a stem that the pack lacks or that never plays in the training tracks, no training track at all, or
            rendered sources asked for that no rendered track has.
    """

    def __init__(
        self,
        pack: Pack,
        config: DataConfig,
        stems: tuple[str, ...],
        seed: int,
        stereo_mixture: bool = False,
        more: MoreMusic | None = None,
    ) -> None:
        self.config, self.seed, self.sources, self.more = config, seed, pack.stems, more
        self.mixture_channels = 2 if stereo_mixture else config.channels
        self.read_channels = 2 if stereo_mixture or config.mid_side else config.channels
        self.crop = max(1, round(config.crop_s * pack.sample_rate))
        training = pack.split("train")
        tracks = [track for track in training if not track.rendered]
        if not tracks:
            raise ValueError("expected at least one training track, got 0; name a folder with a train split")
        if missing := sorted(set(stems) - set(pack.stems)):
            raise ValueError(f"the data has stems {', '.join(pack.stems)}, the model asks for {', '.join(missing)} too")
        self.outputs = [pack.stems.index(stem) for stem in stems]
        salient = salient_index(pack) if config.crops == "salient" else None
        every_source = range(len(pack.stems))
        self.pools = [pack_pool(pack, tracks, [source], salient, LEAVE_OUT) for source in every_source]
        self.songs = pack_pool(pack, tracks, every_source, salient, LEAVE_OUT)
        rendered = [track for track in training if track.rendered]
        self.rendered_pools = {
            source: pack_pool(pack, rendered, [source], salient, DO_NOT_RENDER)
            for source in every_source
            if config.rendered and pack.stems[source] in config.rendered_stems
        }

    def batch(self, step: int, size: int, part: slice | None = None) -> Batch:
        """The batch of a step: ``size`` examples, or those that ``part`` selects out of them."""
        indices = range(size)[part] if part is not None else range(size)
        examples = [self._example(np.random.default_rng([self.seed, step, index])) for index in indices]
        sources = torch.from_numpy(np.stack([example for example, _ in examples]))
        mixture = sources.sum(dim=1)
        targets = sources[:, self.outputs, : self.config.channels]
        peak = torch.maximum(mixture.abs().amax(dim=(1, 2)), targets.abs().amax(dim=(1, 2, 3))).clamp_min(SILENCE)
        origins = tuple(origin for _, origin in examples)
        return Batch(mixture / peak[:, None, None], targets / peak[:, None, None, None], origins)

    def _example(self, generator: np.random.Generator) -> tuple[np.ndarray, str]:
        config = self.config
        example = np.zeros((len(self.sources), self.read_channels, self.crop), dtype=np.float32)
        origins = []
        song = self._take(generator, self.songs) if generator.random() >= config.remix else None
        drawn = range(len(self.sources))
        if self.more and song is None and self.more.rests and generator.random() < self.more.share:
            focus = tuple(self.more.rests)[generator.integers(len(self.more.rests))]
            origins += self._add_rest(generator, self.more.rests[focus], focus, example)
            drawn = range(focus, focus + 1)
        for source in drawn:
            take = song or self._take(generator, self._draw_pool(generator, source))
            gain = self._draw_gain(generator)
            if generator.random() < config.drop or take.track.silent[source]:
                continue
            _skip_draw(generator)
            example[source] = self._audio(take, source) * np.float32(gain)
            origins.append(f"{self.sources[source]} of {take}")
        if config.channels == 1 and generator.random() < config.mid_side:
            example = _mid_and_side(example, side_first=generator.random() < SIDE_SHARE)
        return example[:, : self.mixture_channels], "; ".join(origins) or "silence"

    def _add_rest(
        self, generator: np.random.Generator, pool: SegmentPool, focus: int, example: np.ndarray
    ) -> list[str]:
        """Put all sources but one, of one segment, into an example [D, C, T]; returns what they are, for messages."""
        take = self._take(generator, pool)
        gain = self._draw_gain(generator)
        if generator.random() < self.config.drop:
            return []
        for source in range(len(self.sources)):
            if not take.track.silent[source]:
                example[source] = self._audio(take, source) * np.float32(gain)
        return [f"all but {self.sources[focus]} of {take}"]

    def _draw_gain(self, generator: np.random.Generator) -> float:
        return 10 ** (generator.uniform(-self.config.gain_db, self.config.gain_db) / 20)

    def _draw_pool(self, generator: np.random.Generator, source: int) -> SegmentPool:
        if self.more and source in self.more.stems and generator.random() < self.more.share:
            return self.more.stems[source]
        if source in self.rendered_pools and generator.random() < self.config.rendered:
            return self.rendered_pools[source]
        return self.pools[source]

    def _take(self, generator: np.random.Generator, pool: SegmentPool) -> _Take:
        speed = draw_speed(generator, self.config.speed_semitones)
        track, start = pool.draw(generator, speed_span(self.crop, speed))
        channel = int(generator.integers(2))
        _skip_draw(generator)
        first = channel if self.config.channels == 1 else 0
        channels = (first, 1 - first)[: self.read_channels]
        return _Take(track, start, channels, speed, backwards=generator.random() < self.config.reverse)

    def _audio(self, take: _Take, source: int) -> np.ndarray:
        margin = speed_margin(take.speed)
        length = speed_span(self.crop, take.speed) + 2 * margin
        audio = take.track.read(source, take.channels, take.start - margin, length)
        played = change_speed(audio, self.crop, take.speed)
        return played[:, ::-1] if take.backwards else played


def _skip_draw(generator: np.random.Generator) -> None:
    """Leave out the draw of a setting that was removed: the batches of earlier runs stay what they were."""
    generator.random()


def _mid_and_side(stereo: np.ndarray, side_first: bool) -> np.ndarray:
    """Left and right [S, 2, T] to mid and side, or side and mid."""
    left, right = stereo[:, 0], stereo[:, 1]
    pair = (left - right, left + right) if side_first else (left + right, left - right)
    return np.stack(pair, axis=1) * np.float32(0.5**0.5)
