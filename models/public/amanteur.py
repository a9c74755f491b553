"""The networks of amanteur/BandSplitRNN-PyTorch: one stem each; their norms take one number of frames only.

Source: github.com/amanteur/BandSplitRNN-PyTorch (no licence stated), reimplemented after reading it.
"""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.bsrnn import Estimate
from models.bsrnn.mask import MaskEstimator
from models.bsrnn.norm import EPSILON
from models.bsrnn.sequence import BandSequenceModule
from models.bsrnn.split import BandSplit
from models.public.several import SeveralConfig, SeveralNetworks
from models.public.spectrogram import MirroredSpectrogram
from models.signal.chunking import overlap_add

DEVIATION_FLOOR = 1e-5


@dataclass(frozen=True)
class AmanteurNetworkConfig:
    """Shape of one network."""

    stems: tuple[str, ...]
    """Its one stem."""
    band_widths: tuple[int, ...]
    """Bins of each of the K bands; they sum to F."""
    frames: int
    """L, the only number of frames that its norms take."""
    features: int
    """N, features of each band."""
    hidden: int
    """Hidden units of each direction of each BLSTM."""
    layers: int
    """Band-and-sequence modules."""
    mask_hidden: int
    """Units of the hidden layer of the mask MLP."""
    sample_rate: int = 44100
    """Hz."""
    n_fft: int = 2048
    """FFT and window length, samples."""
    hop: int = 512
    """Samples between frames."""

    channels = 2

    def __post_init__(self) -> None:
        """Check the values that the shapes of the checkpoint's weights do not ensure."""
        if sum(self.band_widths) != self.n_fft // 2 + 1 or min(self.band_widths, default=0) < 1:
            raise ValueError(
                f"model.band_widths: expected widths that sum to {self.n_fft // 2 + 1}, got {sum(self.band_widths)}"
            )
        if len(self.stems) != 1:
            raise ValueError(f"model.stems: expected one stem for each network, got {list(self.stems)}")
        if self.frames < 2:
            raise ValueError(f"model.frames: expected at least 2, got {self.frames}")
        for name in ("features", "hidden", "layers", "mask_hidden", "sample_rate", "hop"):
            if getattr(self, name) < 1:
                raise ValueError(f"model.{name}: expected at least 1, got {getattr(self, name)}")

    @property
    def num_samples(self) -> int:
        """T, samples that make ``frames`` frames."""
        return (self.frames - 1) * self.hop


class FrameTiedNorm(nn.Module):
    """Normalise [..., frames, features] over both, then scale and shift; each frame and feature has its own weights.

    Args:
        frames: the only number of frames that it takes.
        *shape: see ``SequenceNorm``.
    """

    def __init__(self, frames: int, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(*shape[:-1], frames, shape[-1]))
        self.bias = nn.Parameter(torch.zeros(*shape[:-1], frames, shape[-1]))

    def forward(self, sequence: Tensor) -> Tensor:
        """[..., frames, features] to the same shape."""
        variance, mean = torch.var_mean(sequence, dim=(-2, -1), keepdim=True, correction=0)
        return (sequence - mean) * torch.rsqrt(variance + EPSILON) * self.weight + self.bias


class FeatureNorm(nn.Module):
    """Normalise each feature of [..., sequence, N] over the sequence.

    Args:
        features: N.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, sequence: Tensor) -> Tensor:
        """[..., sequence, N] to the same shape."""
        variance, mean = torch.var_mean(sequence, dim=-2, keepdim=True, correction=0)
        return (sequence - mean) * torch.rsqrt(variance + EPSILON) * self.weight + self.bias


class AmanteurNetwork(nn.Module):
    """Spectrogram, standardised -> band split -> modules -> mask -> masked spectrogram, standardisation undone.

    The network takes mixtures of ``frames`` frames only. A shorter mixture is padded with zeros. A longer one is cut
    into parts of this length that overlap by half and are joined by linear cross-fades.

    Args:
        config: the network's shape.
    """

    mask_estimator: type[MaskEstimator] = MaskEstimator

    def __init__(self, config: AmanteurNetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.stems, self.channels = config.stems, config.channels
        self.sample_rate, self.hop = config.sample_rate, config.hop
        tied = functools.partial(FrameTiedNorm, config.frames)
        widths, channels, features = config.band_widths, config.channels, config.features
        self.spectrogram = MirroredSpectrogram(config.n_fft, config.hop)
        self.split = BandSplit(widths, channels, features, tied, level_inputs=False)
        self.sequence = nn.ModuleList(
            BandSequenceModule(features, config.hidden, FeatureNorm) for _ in range(config.layers)
        )
        self.mask = self.mask_estimator(widths, channels, features, config.mask_hidden, tied)

    def forward(self, mixture: Tensor) -> Estimate:
        """Mixture [B, 2, T] to waveforms [B, 1, 2, T]."""
        size, length = self.config.num_samples, mixture.shape[-1]
        if length <= size:
            return Estimate(self._separate(nn.functional.pad(mixture, (0, size - length)))[..., :length])
        padded = nn.functional.pad(mixture, (0, -(length - size) % (size // 2)))  # to a whole number of parts
        parts = [
            torch.cat(list(overlap_add(self._separate, [each], size, size // 2, batch=1)), dim=-1) for each in padded
        ]
        return Estimate(torch.stack(parts)[..., :length])

    def _separate(self, mixture: Tensor) -> Tensor:
        """One part [B, 2, T] to waveforms [B, 1, 2, T]."""
        with torch.autocast(mixture.device.type, enabled=False):
            spectrogram = self.spectrogram(mixture.float())
            mean = spectrogram.mean(dim=(1, 2, 3), keepdim=True)
            centred = spectrogram - mean
            power = torch.view_as_real(centred).square().sum(dim=(1, 2, 3, 4)) / (centred[0].numel() - 1)
            deviation = power.sqrt()[:, None, None, None]
            standardised = centred / (deviation + DEVIATION_FLOOR)
        bands = self.split(standardised)
        for module in self.sequence:
            bands = module(bands)
        spectrogram = self.mask(bands) * standardised * deviation + mean
        return self.spectrogram.inverse(spectrogram[:, None], mixture.shape[-1])


@dataclass(frozen=True)
class AmanteurConfig(SeveralConfig):
    """One network for each stem."""

    networks: tuple[AmanteurNetworkConfig, ...]


class AmanteurNetworks(SeveralNetworks):
    """The networks of a checkpoint, see ``SeveralNetworks``."""

    def __init__(self, config: AmanteurConfig) -> None:
        super().__init__(config, AmanteurNetwork)
