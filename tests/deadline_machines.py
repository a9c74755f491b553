"""Deadline separators on fake machines of a given speed."""

import torch

from fake_networks import GAINS, FakeClock, scaling_separator
from models.bsrnn import BSRNN, BSRNNConfig
from models.separation.separator import NetworkSeparator
from models.signal.chunking import SeparateConfig
from submission.predictor.separator import DeadlineSeparator
from submission.rules.challenge import INSTRUMENTS

RATE = 44100


def noise(seconds: float, channels: int = 2, rate: int = RATE) -> torch.Tensor:
    return 0.1 * torch.randn(channels, round(seconds * rate), generator=torch.Generator().manual_seed(1))


def machine(
    cost: float, fallback_cost: float | None = None, overlap: float = 0.5
) -> tuple[FakeClock, DeadlineSeparator]:
    """A separator on a machine that takes `cost` seconds for a second of audio."""
    clock = FakeClock()
    fallbacks = [] if fallback_cost is None else [scaling_separator(clock, fallback_cost, "spare")]
    return clock, DeadlineSeparator(INSTRUMENTS, [scaling_separator(clock, cost, "main", overlap)], fallbacks, clock)


def random_network(stems=tuple(GAINS), seed: int = 0) -> NetworkSeparator:
    torch.manual_seed(seed)
    shape = BSRNNConfig(
        stems=stems, n_fft=1024, hop=512, bands="1k:4k,4k:16k", features=8, hidden=8, layers=1, mask_factor=1
    )
    return NetworkSeparator(BSRNN(shape), SeparateConfig(0.5, 0.3, batch=2), name=f"random {seed}")
