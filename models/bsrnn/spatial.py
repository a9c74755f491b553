"""Spatial cues: the level difference and coherence between channels, as an input for each band."""

import torch
from torch import Tensor, nn

from models.bsrnn.grouping import BandGroups
from models.bsrnn.linear import BandLinear

POWER_FLOOR = 1e-4
"""Bins of less power count as silent, see ``models.bsrnn.split``."""
CUES = 3


class SpatialSplit(nn.Module):
    """Spectrogram [B, C, F, L] to features of its spatial cues [K, B * C', L, N], to be added to the band features.

    With a the bin of one channel and b the mean of the other channels, the cues are ``|a|^2 - |b|^2``, ``2 Re(a b*)``
    and ``2 Im(a b*)``, each divided by ``|a|^2 + |b|^2``: the level difference and the two parts of the coherence. They
    are in [-1, 1] and independent of the level. In the centre and in mono they are 0, 1 and 0. A fully connected layer
    for each band maps them to features. It is initialised to zero, so that it can be added to a trained network.

    Args:
        band_widths: bins of each of the K bands.
        features: N.

    Differs: the paper has no stereo inputs; in SIMO-BSRNN the channels exchange features instead, see
        ``TransformAverageConcatenate``.
    """

    def __init__(self, band_widths: tuple[int, ...], features: int) -> None:
        super().__init__()
        self.groups = BandGroups(band_widths)
        self.linears = nn.ModuleList(BandLinear(count, CUES * width, features) for count, width in self.groups.groups)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, spectrogram: Tensor, channels: int) -> Tensor:
        """[B, C, F, L] complex to [K, B * channels, L, N], for the first ``channels`` channels."""
        return self.of_real(torch.view_as_real(spectrogram.mT), channels)

    def of_real(self, frames: Tensor, channels: int) -> Tensor:
        """As ``forward``, for real and imaginary parts [B, C, L, F, 2], the order of a spectrogram in memory."""
        cues = real_cues(frames, channels).flatten(0, 1).permute(2, 0, 3, 1)  # [F, B', L, 3]
        bands = [
            linear(part.permute(0, 2, 3, 4, 1).flatten(3))  # [k, B', L, 3 * w]
            for part, linear in zip(self.groups.split(cues), self.linears, strict=True)
        ]
        return self.groups.join_bands(bands)


def spatial_cues(spectrogram: Tensor, channels: int) -> Tensor:
    """Cues [B, channels, 3, F, L] of the first channels of [B, C, F, L] complex, see ``SpatialSplit``."""
    return real_cues(torch.view_as_real(spectrogram.mT), channels)


def real_cues(frames: Tensor, channels: int) -> Tensor:
    """As ``spatial_cues``, for real and imaginary parts [B, C, L, F, 2], the order of a spectrogram in memory."""
    here, num_channels = frames[:, :channels], frames.shape[1]
    others = here if num_channels == 1 else (frames.sum(dim=1, keepdim=True) - here) / (num_channels - 1)
    a, b, c, d = here[..., 0], here[..., 1], others[..., 0], others[..., 1]
    power, other_power = a * a + b * b, c * c + d * d
    scale = 1 / (power + other_power + POWER_FLOOR)
    level, real, imaginary = power - other_power, 2 * (a * c + b * d), 2 * (b * c - a * d)
    return torch.stack([level * scale, real * scale, imaginary * scale], dim=2).mT
