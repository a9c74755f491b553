"""The networks in real arithmetic: the layers are the networks' own, complex numbers are pairs in a last dimension.

Law: each module gives what its network gives, for every length.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from models.bsrnn import BSRNN
from models.export.fourier import RealSpectrogram, add_frames, cut_frames
from models.public.amanteur import DEVIATION_FLOOR, AmanteurNetwork
from models.public.magronp import SILENCE, MagronpNetwork
from models.public.several import SeveralNetworks
from models.signal.chunking import triangle_window


class RealBSRNN(nn.Module):
    """``BSRNN`` for two channels."""

    def __init__(self, network: BSRNN) -> None:
        super().__init__()
        if network.config.causal:
            raise ValueError("a causal network cannot be exported yet")
        self.network = network
        self.spectrogram = RealSpectrogram(network.spectrogram)

    def forward(self, mixture: Tensor) -> Tensor:
        """Mixture [B, 2, T] to waveforms [B, S, 2, T]."""
        network, (batch, channels, length) = self.network, mixture.shape
        waveforms = _mid_and_side(mixture) if network.config.mid_side else mixture
        frames = self.spectrogram(waveforms)  # [B, C, L, F, 2]
        bands = network.split.of_real(frames.flatten(0, 1).unsqueeze(1))
        if network.spatial is not None:
            bands = bands + network.spatial.of_real(frames, channels)
        for module in network.sequence:
            bands = module(bands, channels)
        masks = torch.stack(_masks(network, bands), dim=1)  # [B * C, S, 1, L, F, 2]
        masks = masks.squeeze(2).unflatten(0, (batch, channels)).transpose(1, 2)  # [B, S, C, L, F, 2]
        stems = self.spectrogram.inverse(_product(frames.unsqueeze(1), masks), length)
        return _mid_and_side(stems) if network.config.mid_side else stems


class RealMagronp(nn.Module):
    """``MagronpNetwork``."""

    def __init__(self, network: MagronpNetwork) -> None:
        super().__init__()
        self.network = network
        self.spectrogram = RealSpectrogram(network.spectrogram)

    def forward(self, mixture: Tensor) -> Tensor:
        """Mixture [B, C, T] to waveforms [B, S, C, T]."""
        network, (batch, channels, length) = self.network, mixture.shape
        peak = mixture.abs().amax(dim=(1, 2), keepdim=True)
        peak = torch.where(peak < SILENCE, torch.ones_like(peak), peak)
        frames = self.spectrogram(mixture / peak)  # [B, C, L, F, 2]
        grouped = frames.flatten(0, 1).unflatten(0, (-1, network.group))
        bands = network.split.of_real(grouped)
        for module in network.sequence:
            bands = module(bands, channels // network.group)
        masks = torch.stack(_masks(network, bands), dim=1)  # [B', S', C', L, F, 2]
        masks = masks.unflatten(0, (batch, channels // network.group)).transpose(1, 2).flatten(2, 3)
        stems = _product(frames.unsqueeze(1), masks)
        if network.config.last_is_rest:
            stems = torch.cat([stems, frames.unsqueeze(1) - stems.sum(dim=1, keepdim=True)], dim=1)
        return self.spectrogram.inverse(stems, length) * peak.unsqueeze(1)


class RealAmanteur(nn.Module):
    """``AmanteurNetwork`` (and ``CrlandscNetwork``); the parts of a mixture are the examples of one batch."""

    window: Tensor

    def __init__(self, network: AmanteurNetwork) -> None:
        super().__init__()
        self.network = network
        self.spectrogram = RealSpectrogram(network.spectrogram)
        self.register_buffer("window", triangle_window(network.config.num_samples))

    def forward(self, mixture: Tensor) -> Tensor:
        """Mixture [B, 2, T] to waveforms [B, 1, 2, T]."""
        size, (batch, channels, length) = self.network.config.num_samples, mixture.shape
        hop = size // 2
        missing = torch.clamp(torch.as_tensor(size - length), min=0)
        beyond = torch.clamp(torch.as_tensor(length - size), min=0)
        padded = nn.functional.pad(mixture, (0, missing + -beyond % hop))  # type: ignore[arg-type]
        parts = cut_frames(padded, size, hop).transpose(1, 2)  # [B, P, 2, size]
        num_parts = parts.shape[1]
        stems = self._separate(parts.flatten(0, 1)) * self.window  # [B * P, 2, size]
        stems = stems.unflatten(0, (batch, num_parts)).transpose(1, 2).flatten(0, 1)  # [B * 2, P, size]
        gain = add_frames(self.window.expand(1, num_parts, -1), size, hop)
        return (add_frames(stems, size, hop) / gain)[:, :length].unflatten(0, (batch, 1, channels))

    def _separate(self, mixture: Tensor) -> Tensor:
        """Parts [B, 2, size] to waveforms of the same shape."""
        network = self.network
        frames = self.spectrogram(mixture)  # [B, C, L, F, 2]
        mean = frames.mean(dim=(1, 2, 3), keepdim=True)
        centred = frames - mean
        count = math.prod(frames.shape[dim] for dim in (1, 2, 3))
        power = centred.square().sum(dim=(1, 2, 3, 4), keepdim=True) / (count - 1)
        deviation = power.sqrt()
        standardised = centred / (deviation + DEVIATION_FLOOR)
        bands = network.split.of_real(standardised)
        for module in network.sequence:
            bands = module(bands)
        stems = _product(network.mask.in_real(bands), standardised) * deviation + mean
        return self.spectrogram.inverse(stems.unsqueeze(1), mixture.shape[-1]).squeeze(1)


class RealSeveral(nn.Module):
    """``SeveralNetworks``."""

    def __init__(self, networks: SeveralNetworks) -> None:
        super().__init__()
        self.networks = nn.ModuleList(in_real_arithmetic(network) for network in networks.networks)

    def forward(self, mixture: Tensor) -> Tensor:
        """Mixture [B, C, T] to waveforms [B, S, C, T]."""
        return torch.cat([network(mixture) for network in self.networks], dim=1)


REAL: tuple[tuple[type[nn.Module], Any], ...] = (
    (BSRNN, RealBSRNN),
    (MagronpNetwork, RealMagronp),
    (AmanteurNetwork, RealAmanteur),
    (SeveralNetworks, RealSeveral),
)


def in_real_arithmetic(network: nn.Module) -> nn.Module:
    """A module that maps mixtures [B, C, T] to waveforms [B, S, C, T] as the network does, without complex tensors.

    Raises:
        ValueError: a network of another kind.
    """
    for kind, real in REAL:
        if isinstance(network, kind):
            return real(network)
    raise ValueError(f"only band-split RNNs can be exported, got a {type(network).__name__}")


def _masks(network: Any, bands: Tensor) -> list[Tensor]:
    """Each stem's mask, as pairs [B, C, L, F, 2]."""
    return [mask.in_real(bands) for mask in network.masks]


def _product(first: Tensor, second: Tensor) -> Tensor:
    """The product of complex numbers given as pairs [..., 2]; broadcasts."""
    real = first[..., 0] * second[..., 0] - first[..., 1] * second[..., 1]
    imaginary = first[..., 0] * second[..., 1] + first[..., 1] * second[..., 0]
    return torch.stack([real, imaginary], dim=-1)


def _mid_and_side(stereo: Tensor) -> Tensor:
    """Left and right [..., 2, T] to mid and side; its own inverse. As the transform is linear, it equals the one on
    spectrograms.
    """
    left, right = stereo[..., 0, :], stereo[..., 1, :]
    return torch.stack([left + right, left - right], dim=-2) * math.sqrt(0.5)
