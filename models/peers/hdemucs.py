"""Hybrid Demucs, built from its own package."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.bsrnn import Estimate
from models.peers.checks import check_ranges, check_stems, pad_to


@dataclass(frozen=True)
class HDemucsConfig:
    """Shape of a Hybrid Demucs (Defossez 2021); the defaults are hdemucs_mmi's."""

    stems: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    """S output stems."""
    sample_rate: int = 44100
    """Hz."""
    features: int = 48
    """Channels of the first layer."""
    growth: int = 2
    """Factor of the channels from layer to layer."""
    depth: int = 6
    """Layers of the encoder and of the decoder."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_stems(self.stems)
        check_ranges(self, {"sample_rate": 768_000, "features": 1024, "growth": 8})
        if self.features % 4:
            raise ValueError(f"model.features: expected a multiple of 4, got {self.features}")
        if self.depth not in (5, 6):
            raise ValueError(f"model.depth: expected 5 or 6 (fewer do not merge the two branches), got {self.depth}")


class HDemucsNetwork(nn.Module):
    """``demucs.hdemucs.HDemucs``.

    Args:
        config: its shape.
    """

    channels = 2

    def __init__(self, config: HDemucsConfig) -> None:
        super().__init__()
        from demucs.hdemucs import HDemucs

        self.config = config
        self.stems, self.sample_rate = config.stems, config.sample_rate
        self.hdemucs = HDemucs(
            sources=list(config.stems),
            audio_channels=self.channels,
            channels=config.features,
            growth=config.growth,
            depth=config.depth,
            samplerate=config.sample_rate,
        )
        self.hop: int = self.hdemucs.hop_length

    def forward(self, mixture: Tensor) -> Estimate:
        """Mixture [B, 2, T] to waveforms [B, S, 2, T]."""
        padded = pad_to(mixture, self.hdemucs.nfft)
        with torch.autocast(mixture.device.type, enabled=False):  # its STFT and its group norms need float32
            return Estimate(self.hdemucs(padded)[..., : mixture.shape[-1]])
