"""The networks of magronp/bsrnn: BSRNN as in its authors' code, and the extensions oBSRNN and oBSRNN-SIMO.

Source: github.com/magronp/bsrnn (MIT), Magron, Serizel and Douwes 2026 (arXiv 2603.09187).
"""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.bsrnn import Estimate
from models.bsrnn.mask import MaskEstimator
from models.bsrnn.norm import SequenceNorm
from models.bsrnn.sequence import ResidualBLSTM
from models.bsrnn.split import BandSplit
from models.public.magronp_blocks import Attention, Exchange, GroupedNorm
from models.public.several import SeveralConfig, SeveralNetworks
from models.public.spectrogram import MirroredSpectrogram

EXCHANGES = ("none", "tanh", "prelu")
SILENCE = 1e-8
"""A mixture with a lower peak is not scaled."""


@dataclass(frozen=True)
class MagronpNetworkConfig:
    """Shape of one network."""

    stems: tuple[str, ...]
    """S output stems, on one encoder."""
    band_widths: tuple[int, ...]
    """Bins of each of the K bands; they sum to F."""
    features: int
    """N, features of each band."""
    hidden: int
    """Hidden units of each direction of each BLSTM."""
    layers: int
    """Band-and-sequence modules."""
    mask_hidden: int
    """Units of each of the two hidden layers of the mask MLP."""
    sample_rate: int = 44100
    """Hz."""
    n_fft: int = 2048
    """FFT and window length, samples."""
    hop: int = 512
    """Samples between frames."""
    channels: int = 2
    """Channels of the mixture."""
    heads: int = 1
    """Parts of the features that the BLSTMs treat as examples of their own."""
    norm_groups: int = 1
    """Groups of features that the BLSTMs' norms normalise separately."""
    attention_heads: int = 0
    """Heads of the attention over frames after each module; 0 has none."""
    attention_features: int = 0
    """Features of a band's query and key in one head."""
    exchange: str = "none"
    """Exchange between channels after each module: ``none``, or TAC with the activation ``tanh`` or ``prelu``."""
    exchange_hidden: int = 0
    """Hidden units of the exchange."""
    joint_channels: bool = False
    """Whether all channels are one example (their "naive" stereo); else each channel is an example."""
    last_is_rest: bool = False
    """Whether the last stem is the mixture minus the others, without a mask of its own."""
    epsilon: float = 1e-7
    """Added to the variances of the norms."""

    def __post_init__(self) -> None:
        """Check the values that the shapes of the checkpoint's weights do not ensure."""
        if sum(self.band_widths) != self.n_fft // 2 + 1 or min(self.band_widths, default=0) < 1:
            raise ValueError(
                f"model.band_widths: expected widths that sum to {self.n_fft // 2 + 1}, got {sum(self.band_widths)}"
            )
        for name in ("features", "hidden", "layers", "mask_hidden", "sample_rate", "hop", "channels", "heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"model.{name}: expected at least 1, got {getattr(self, name)}")
        if self.exchange not in EXCHANGES:
            raise ValueError(f"model.exchange: expected one of {', '.join(EXCHANGES)}, got {self.exchange!r}")
        if self.norm_groups < 1 or self.features % (self.heads * self.norm_groups):
            raise ValueError(f"model.norm_groups: expected a divisor of {self.features // self.heads} features")
        if self.attention_heads and self.features % self.attention_heads:
            raise ValueError(f"model.attention_heads: expected a divisor of {self.features} features")
        if not self.stems or (self.last_is_rest and len(self.stems) < 2):
            raise ValueError(f"model.stems: expected more names, got {list(self.stems)}")

    @property
    def num_masks(self) -> int:
        """Masks that the network estimates."""
        return len(self.stems) - self.last_is_rest


class MagronpNetwork(nn.Module):
    """Mixture, scaled to a peak of 1 -> spectrogram -> band split -> modules -> one mask for each stem.

    Args:
        config: the network's shape.

    Differs: the peak is that of the chunk, as in its training; its ``separate.py`` uses the whole song's. All norms
        divide by the level, so this matters only where a band's power is near ``epsilon``.
    """

    def __init__(self, config: MagronpNetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.stems, self.channels = config.stems, config.channels
        self.sample_rate, self.hop = config.sample_rate, config.hop
        self.group = config.channels if config.joint_channels else 1
        norm = functools.partial(SequenceNorm, "group", epsilon=config.epsilon)
        widths, features = config.band_widths, config.features
        self.spectrogram = MirroredSpectrogram(config.n_fft, config.hop)
        self.split = BandSplit(widths, self.group, features, norm, level_inputs=False)
        self.sequence = nn.ModuleList(MagronpModule(config) for _ in range(config.layers))
        self.masks = nn.ModuleList(
            MaskEstimator(widths, self.group, features, config.mask_hidden, norm, mask_layers=2)
            for _ in range(config.num_masks)
        )

    def forward(self, mixture: Tensor) -> Estimate:
        """Mixture [B, C, T] to waveforms [B, S, C, T]."""
        batch, channels, length = mixture.shape
        with torch.autocast(mixture.device.type, enabled=False):
            peak = mixture.float().abs().amax(dim=(1, 2), keepdim=True)
            peak = torch.where(peak < SILENCE, 1.0, peak)
            spectrogram = self.spectrogram(mixture / peak)
        bands = self.split(spectrogram.reshape(-1, self.group, *spectrogram.shape[2:]))  # [K, B', L, N]
        for module in self.sequence:
            bands = module(bands, channels // self.group)
        masks = torch.stack([mask(bands).mT for mask in self.masks], dim=1).mT  # [B', S', C', F, L]
        masks = masks.unflatten(0, (batch, -1)).transpose(1, 2).flatten(2, 3)  # [B, S', C, F, L]
        spectrograms = spectrogram[:, None] * masks
        if self.config.last_is_rest:
            rest = spectrogram[:, None] - spectrograms.sum(dim=1, keepdim=True)
            spectrograms = torch.cat([spectrograms, rest], dim=1)
        return Estimate(self.spectrogram.inverse(spectrograms, length) * peak[:, None])


class MagronpModule(nn.Module):
    """BLSTM over time -> BLSTM over bands -> exchange between channels -> attention over frames.

    Args:
        config: of the network.
    """

    def __init__(self, config: MagronpNetworkConfig) -> None:
        super().__init__()
        self.heads = config.heads
        features = config.features // config.heads
        norm = functools.partial(GroupedNorm, config.norm_groups, epsilon=config.epsilon)
        self.over_time = ResidualBLSTM(features, config.hidden, norm)
        self.over_bands = ResidualBLSTM(features, config.hidden, norm)
        self.exchange: Exchange | None = None
        if config.exchange != "none":
            self.exchange = Exchange(config.features, config.exchange_hidden, config.exchange)
        self.attention: Attention | None = None
        if config.attention_heads:
            self.attention = Attention(
                len(config.band_widths), config.features, config.attention_heads, config.attention_features
            )

    def forward(self, bands: Tensor, channels: int) -> Tensor:
        """[K, B, L, N] to the same shape; every ``channels`` examples are the channels of one mixture."""
        num_bands, batch, num_frames, _ = bands.shape
        parts = bands.unflatten(-1, (self.heads, -1)).permute(0, 1, 3, 2, 4)  # [K, B, heads, L, N / heads]
        parts = self.over_time(parts.flatten(0, 2)).unflatten(0, (num_bands, -1))  # [K, B * heads, L, n]
        across = self.over_bands(parts.flatten(1, 2).transpose(0, 1))  # [B * heads * L, K, n]
        parts = across.transpose(0, 1).unflatten(1, (batch, self.heads, num_frames))
        bands = parts.permute(0, 1, 3, 2, 4).flatten(3)  # [K, B, L, N]
        if self.exchange is not None:
            bands = self.exchange(bands, channels)
        if self.attention is not None:
            bands = self.attention(bands)
        return bands


@dataclass(frozen=True)
class MagronpConfig(SeveralConfig):
    """One oBSRNN for each stem, or one oBSRNN-SIMO for all."""

    networks: tuple[MagronpNetworkConfig, ...]


class MagronpNetworks(SeveralNetworks):
    """The networks of a checkpoint, see ``SeveralNetworks``."""

    def __init__(self, config: MagronpConfig) -> None:
        super().__init__(config, MagronpNetwork)
