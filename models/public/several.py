"""Several networks of one codebase, usually one for each stem, as one network with one checkpoint."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.bsrnn import Estimate


@dataclass(frozen=True)
class SeveralConfig:
    """Shapes of the networks, in the order of their stems."""

    networks: tuple[Any, ...]
    """One configuration for each network; each has ``stems``, ``sample_rate`` and ``channels``."""

    def __post_init__(self) -> None:
        """Check that the networks fit together."""
        if not self.networks:
            raise ValueError("model.networks: expected at least one network, got none")
        if len(set(self.stems)) < len(self.stems):
            raise ValueError(f"model.networks: expected every stem once, got {', '.join(self.stems)}")
        if len({(network.sample_rate, network.channels, network.hop) for network in self.networks}) > 1:
            raise ValueError("model.networks: expected one sample rate, number of channels and hop for all networks")

    @property
    def stems(self) -> tuple[str, ...]:
        """All stems, in the order of the networks."""
        return tuple(stem for network in self.networks for stem in network.stems)

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.networks[0].sample_rate

    @property
    def channels(self) -> int:
        """Channels of the mixture."""
        return self.networks[0].channels

    @property
    def hop(self) -> int:
        """Samples between frames."""
        return self.networks[0].hop


class SeveralNetworks(nn.Module):
    """Runs its networks one after the other and puts their stems side by side.

    Args:
        config: shapes of the networks.
        build: makes one network from its configuration.

    Attributes:
        stems, sample_rate, channels, hop: see ``SeveralConfig``.
    """

    def __init__(self, config: SeveralConfig, build: Callable[[Any], nn.Module]) -> None:
        super().__init__()
        self.config = config
        self.stems, self.sample_rate = config.stems, config.sample_rate
        self.channels, self.hop = config.channels, config.hop
        self.networks = nn.ModuleList(build(part) for part in config.networks)

    def forward(self, mixture: Tensor) -> Estimate:
        """Mixture [B, C, T] to waveforms [B, S, C, T]."""
        return Estimate(torch.cat([network(mixture).waveforms for network in self.networks], dim=1))

    def keep_stems(self, stems: Sequence[str]) -> None:
        """Remove the networks that give none of these stems, to save their computation."""
        kept = [network for network in self.networks if set(network.stems) & set(stems)]  # type: ignore[arg-type]
        self.networks = nn.ModuleList(kept)
        self.stems = tuple(stem for network in kept for stem in network.stems)  # type: ignore[union-attr]
