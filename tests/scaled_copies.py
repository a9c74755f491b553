"""Networks whose stems are known multiples of the mixture, and separators around them."""

import dataclasses
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from models.signal.chunking import SeparateConfig

RATE = 44100
STEMS = ("vocals", "drums", "bass", "other")
SETTINGS = SeparateConfig(segment_s=0.1, overlap=0.5, batch=3)


class FakeEstimate(NamedTuple):
    waveforms: Tensor
    spectrograms: None = None


class ScaledCopies(nn.Module):
    """Each stem is the mixture times its number: 1, 2, 3, 4."""

    stems = STEMS
    sample_rate = RATE
    channels = 2

    def __init__(self) -> None:
        super().__init__()
        self.gains = nn.Parameter(torch.arange(1.0, 5.0))
        self.lengths: list[int] = []

    def forward(self, mixture: Tensor) -> FakeEstimate:
        assert not self.training and mixture.shape[1] == 2
        self.lengths += [mixture.shape[-1]] * len(mixture)
        return FakeEstimate(self.gains[:, None, None] * mixture[:, None])


def noise(length: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(length).standard_normal((channels, length)).astype(np.float32)


class Squashed(ScaledCopies):
    """A network that depends on loudness: quiet samples are unchanged, loud ones become quieter."""

    def forward(self, mixture: Tensor) -> FakeEstimate:
        return super().forward(torch.tanh(3 * mixture))


@dataclasses.dataclass(frozen=True)
class FakePreset:
    separate: SeparateConfig
