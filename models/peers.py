"""Open-Unmix and Hybrid Demucs, built from their own packages, for our trainer and our separator.

They serve a fair comparison: the original classes, trained on our data with our budget. Each package is imported only
when its network is built.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.bsrnn import Estimate

WIENER_ITERATIONS = 1
"""Of Open-Unmix's multichannel Wiener filter when separating, as in umxhq; training has none, as in the original."""


@dataclass(frozen=True)
class OpenUnmixConfig:
    """Shape of an Open-Unmix (Stoeter et al. 2019); the defaults are umxhq's."""

    stems: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    """S output stems, one model for each."""
    sample_rate: int = 44100
    """Hz."""
    n_fft: int = 4096
    """FFT and window length, samples."""
    hop: int = 1024
    """Samples between frames."""
    max_bin: int = 1487
    """Bins that the network uses as input (umxhq: up to 16 kHz)."""
    hidden: int = 512
    """Width of the bottleneck."""
    layers: int = 3
    """BLSTM layers."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _check_stems(self.stems)
        _check_ranges(self, {"sample_rate": 768_000, "hop": 2**16, "hidden": 4096, "layers": 256})
        if not 16 <= self.n_fft <= 2**17 or self.n_fft % 2 or self.hop > self.n_fft // 2:
            raise ValueError(
                f"model.n_fft: expected an even number from 16 to {2**17} and two hops, got {self.n_fft}, {self.hop}"
            )
        if not 1 <= self.max_bin <= self.n_fft // 2 + 1:
            raise ValueError(f"model.max_bin: expected 1 to {self.n_fft // 2 + 1}, got {self.max_bin}")


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
        _check_stems(self.stems)
        _check_ranges(self, {"sample_rate": 768_000, "features": 1024, "growth": 8})
        if self.features % 4:
            raise ValueError(f"model.features: expected a multiple of 4, got {self.features}")
        if self.depth not in (5, 6):
            raise ValueError(f"model.depth: expected 5 or 6 (fewer do not merge the two branches), got {self.depth}")


def _check_ranges(config: object, largest: dict[str, int]) -> None:
    """Check sizes; they may come from a file of unknown origin."""
    for name, limit in largest.items():
        if not 1 <= getattr(config, name) <= limit:
            raise ValueError(f"model.{name}: expected 1 to {limit}, got {getattr(config, name)}")


def _check_stems(stems: tuple[str, ...]) -> None:
    if not stems or len(set(stems)) != len(stems):
        raise ValueError(f"model.stems: expected one or more different names, got {list(stems)}")


class OpenUnmixNetwork(nn.Module):
    """One ``openunmix.model.OpenUnmix`` for each stem inside ``openunmix.model.Separator``.

    Args:
        config: its shape.
    """

    channels = 2

    def __init__(self, config: OpenUnmixConfig) -> None:
        super().__init__()
        from openunmix.model import OpenUnmix, Separator

        self.config = config
        self.stems, self.sample_rate, self.hop = config.stems, config.sample_rate, config.hop
        targets = {
            stem: OpenUnmix(
                nb_bins=config.n_fft // 2 + 1,
                nb_channels=self.channels,
                hidden_size=config.hidden,
                nb_layers=config.layers,
                max_bin=config.max_bin,
            )
            for stem in config.stems
        }
        self.separator = Separator(
            targets, sample_rate=config.sample_rate, n_fft=config.n_fft, n_hop=config.hop, nb_channels=self.channels
        )

    def forward(self, mixture: Tensor) -> Estimate:
        """Mixture [B, 2, T] to waveforms [B, S, 2, T]."""
        length = mixture.shape[-1]
        self.separator.niter = 0 if self.training or len(self.stems) == 1 else WIENER_ITERATIONS
        padded = nn.functional.pad(mixture, (0, max(0, self.config.n_fft - length)))  # its STFT mirrors half a window
        return Estimate(self.separator(padded)[..., :length])


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
        length = mixture.shape[-1]
        padded = nn.functional.pad(mixture, (0, max(0, self.hdemucs.nfft - length)))
        with torch.autocast(mixture.device.type, enabled=False):  # its STFT and its group norms need float32
            return Estimate(self.hdemucs(padded)[..., :length])
