"""The band-split RNN network: a mixture's waveform to the stems' waveforms."""

import math

import torch
from torch import Tensor, nn

from models.bsrnn.config import BSRNNConfig
from models.bsrnn.estimate import Estimate
from models.bsrnn.mask import MaskEstimator
from models.bsrnn.norm import RunningLevel
from models.bsrnn.sequence import BandSequenceModule, Memory
from models.bsrnn.spatial import SpatialSplit
from models.bsrnn.spectrogram import Spectrogram
from models.bsrnn.split import BandSplit


class BSRNN(nn.Module):
    """Complex spectrogram -> band split -> band-and-sequence modules -> one mask for each stem -> masked spectrograms.

    Args:
        config: the network's shape.

    Attributes:
        stems: names of the S outputs.
        sample_rate: Hz.
        hop: samples between frames.
        channels: 2, those of a mixture that it is asked for; it takes any number.

    Source: Luo & Yu 2022 (arXiv 2209.15174); several stems on one encoder as in SIMO-BSRNN (ICASSP 2024).
    """

    channels = 2

    def __init__(self, config: BSRNNConfig) -> None:
        super().__init__()
        self.config = config
        self.stems = config.stems
        self.sample_rate, self.hop = config.sample_rate, config.hop
        widths = config.band_widths
        hidden = config.mask_factor * config.features
        self.spectrogram = Spectrogram(config.n_fft, config.hop)
        self.split = BandSplit(widths, 1, config.features, config.norm, config.level_inputs)
        self.spatial = SpatialSplit(widths, config.features) if config.stereo == "spatial" else None
        self.level = RunningLevel(config.n_fft) if config.causal else None
        exchange = config.stereo == "tac"
        self.sequence = nn.ModuleList(
            BandSequenceModule(
                config.features, config.hidden, config.norm, config.attention_heads, exchange, config.causal
            )
            for _ in range(config.layers)
        )
        self.masks = nn.ModuleList(MaskEstimator(widths, 1, config.features, hidden, config.norm) for _ in config.stems)

    def forward(self, mixture: Tensor, channels: int | None = None) -> Estimate:
        """Mixture [B, C, T] to the stems' waveforms [B, S, C, T] and spectrograms [B, S, C, F, L].

        Args:
            mixture: [B, C, T].
            channels: estimate the first so many channels only, instead of all C; the others are inputs still. The
                channels of a network of mid and side then are mid and side, in any order.
        """
        with torch.autocast(mixture.device.type, enabled=False):
            spectrogram = self.spectrogram(mixture.float())
        spectrograms = self.separate_spectrogram(spectrogram, channels)
        return Estimate(self.spectrogram.inverse(spectrograms, mixture.shape[-1]), spectrograms)

    def separate_spectrogram(
        self, spectrogram: Tensor, channels: int | None = None, memory: Memory | None = None
    ) -> Tensor:
        """Spectrogram [B, C, F, L] to the stems' [B, S, C, F, L], of all channels or the first few.

        ``memory``: of a causal network, what it keeps of the frames before, empty at first; it is changed.
        """
        mid_side = self.config.mid_side and channels is None and spectrogram.shape[1] == 2
        if mid_side:
            spectrogram = mid_and_side(spectrogram)
        heard = self.level(spectrogram, memory) if self.level is not None else spectrogram
        spectrograms = spectrogram[:, None, :channels] * self.estimate_masks(heard, channels, memory)
        return mid_and_side(spectrograms) if mid_side else spectrograms

    def estimate_masks(self, spectrogram: Tensor, channels: int | None = None, memory: Memory | None = None) -> Tensor:
        """Spectrogram [B, C, F, L] to complex masks [B, S, C, F, L], of all channels or the first few."""
        estimated = spectrogram[:, :channels]
        batch, channels = estimated.shape[:2]
        bands = self.split(estimated.reshape(-1, 1, *spectrogram.shape[2:]))  # [K, B * C, L, N]
        if self.spatial is not None:
            bands = bands + self.spatial(spectrogram, channels)
        for module in self.sequence:
            bands = module(bands, channels, memory)
        frames = torch.stack([mask(bands).mT for mask in self.masks], dim=1)  # [B * C, S, 1, L, F], in memory order
        masks = frames.mT
        return masks.unflatten(0, (batch, -1)).transpose(1, 2).flatten(2, 3)


def mid_and_side(stereo: Tensor) -> Tensor:
    """Left and right [..., 2, F, L] to (L + R) / sqrt(2) and (L - R) / sqrt(2), and back: it is its own inverse."""
    left, right = stereo.unbind(-3)
    if stereo.requires_grad:
        return torch.stack([left + right, left - right], dim=-3) * math.sqrt(0.5)
    turned = torch.empty_like(stereo)  # in the memory order of the spectrogram, which the inverse transform needs
    torch.add(left, right, out=turned.select(-3, 0))
    torch.sub(left, right, out=turned.select(-3, 1))
    torch.view_as_real(turned).mul_(math.sqrt(0.5))
    return turned
