"""Random mixing: training mixtures that nobody recorded.

Source: Luo & Yu 2022, section 4.1. Differs: crops are drawn anywhere in a stem that is not silent throughout, which the
replication found better than the paper's activity detection (7.5 against 7.1 dB).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

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


class RandomMixer:
    """Makes the batch of any step; the same seed and step always give the same batch.

    For each example and source: a track (likelier the longer it is, by the square root of its length), a crop, a
    channel, a gain, and a small chance to be left out. Mixture and targets are divided by their common peak.

    Args:
        pack: decoded tracks; those of its train split are used.
        config: crop, channels, gains, drop.
        stems: the S sources, in the network's order; all must be in the pack.
        seed: any whole number.

    Raises:
        ValueError: a stem that the pack lacks or that is silent in every training track, or no training track at all.
    """

    def __init__(self, pack: Pack, config: DataConfig, stems: tuple[str, ...], seed: int) -> None:
        self.config, self.seed, self.sources = config, seed, pack.stems
        self.crop = max(1, round(config.crop_s * pack.sample_rate))
        tracks = pack.split("train")
        if not tracks:
            raise ValueError("expected at least one training track, got 0; name a folder with a train split")
        if missing := sorted(set(stems) - set(pack.stems)):
            raise ValueError(f"the data has stems {', '.join(pack.stems)}, the model asks for {', '.join(missing)} too")
        self.outputs = [pack.stems.index(stem) for stem in stems]
        audio = [track.audio() for track in tracks]
        self.choices: list[tuple[list[PackedTrack], list[np.ndarray], np.ndarray]] = []
        for source, name in enumerate(pack.stems):
            usable = [index for index, track in enumerate(tracks) if not track.silent[source]]
            if not usable:
                raise ValueError(
                    f"stem {name!r} is silent in all {len(tracks)} training tracks; leave it out of the model"
                )
            weights = np.sqrt([audio[index].shape[-1] for index in usable])
            chosen = [audio[index][source] for index in usable]
            self.choices.append(([tracks[index] for index in usable], chosen, weights / weights.sum()))

    def batch(self, step: int, size: int) -> Batch:
        """The batch of a step: ``size`` examples."""
        generator = np.random.default_rng([self.seed, step])
        examples = [self._example(generator) for _ in range(size)]
        sources = torch.from_numpy(np.stack([example for example, _ in examples]))
        mixture = sources.sum(dim=1)
        targets = sources[:, self.outputs]
        peak = torch.maximum(mixture.abs().amax(dim=(1, 2)), targets.abs().amax(dim=(1, 2, 3))).clamp_min(SILENCE)
        origins = tuple(origin for _, origin in examples)
        return Batch(mixture / peak[:, None, None], targets / peak[:, None, None, None], origins)

    def _example(self, generator: np.random.Generator) -> tuple[np.ndarray, str]:
        example = np.zeros((len(self.sources), self.config.channels, self.crop), dtype=np.float32)
        origins = []
        for source, (tracks, audio, weights) in enumerate(self.choices):
            index = generator.choice(len(tracks), p=weights)
            length = audio[index].shape[-1]
            start = int(generator.integers(max(1, length - self.crop + 1)))
            channel = int(generator.integers(2))
            gain = 10 ** (generator.uniform(-self.config.gain_db, self.config.gain_db) / 20)
            if generator.random() < self.config.drop:
                continue
            channels = slice(channel, channel + 1) if self.config.channels == 1 else slice(None)
            part = audio[index][channels, start : start + self.crop]
            example[source, :, : part.shape[-1]] = part * np.float32(gain * tracks[index].scale)
            origins.append(f"{self.sources[source]} of {tracks[index].name!r} at sample {start}")
        return example, "; ".join(origins) or "silence"
