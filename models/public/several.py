"""Several networks of one codebase, most often one for each stem, as one network of one checkpoint."""

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
        """Check that the networks go together."""
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
        build: makes one network of its configuration.

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
        """Mixture [B, C, T] to waveforms [B, S, C, T], and spectrograms [B, S, C, F, L] if all networks give some."""
        return join_estimates([network(mixture) for network in self.networks])

    def keep_stems(self, stems: Sequence[str]) -> None:
        """Drop the networks that give none of these stems, so that they cost nothing."""
        kept = [network for network in self.networks if set(network.stems) & set(stems)]  # type: ignore[arg-type]
        self.networks = nn.ModuleList(kept)
        self.stems = tuple(stem for network in kept for stem in network.stems)  # type: ignore[union-attr]


def join_estimates(estimates: Sequence[Estimate]) -> Estimate:
    """Put the stems of estimates of one mixture side by side."""
    if len(estimates) == 1:
        return estimates[0]
    waveforms = torch.cat([estimate.waveforms for estimate in estimates], dim=1)
    spectrograms = [estimate.spectrograms for estimate in estimates if estimate.spectrograms is not None]
    return Estimate(waveforms, torch.cat(spectrograms, dim=1) if len(spectrograms) == len(estimates) else None)
