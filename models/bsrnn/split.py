"""Band split: a norm and a fully connected layer for each band."""

import torch
from torch import Tensor, nn

from models.bsrnn.grouping import BandGroups
from models.bsrnn.linear import BandLinear
from models.bsrnn.norm import Norm, SequenceNorm

MAGNITUDE_POWER = 0.3
POWER_FLOOR = 1e-6
EPSILON = 1e-3
"""For music with a peak of 1, bins below about -90 dB count as silence, so their rounding does not change the stems."""


class BandSplit(nn.Module):
    """Complex spectrogram [B, C, F, L] to band features [K, B, L, N].

    The norm removes a band's level. With ``level_inputs`` each band has more inputs: the magnitudes ``|X| ** 0.3`` of
    its bins, the log10 of its power, and the log10 of its power relative to the frame's.

    Args:
        band_widths: bins of each of the K bands.
        channels: C.
        features: N.
        norm: see ``Norm``.
        level_inputs: see above.

    Source: Luo & Yu 2022, section 3.1.
    Differs: with ``level_inputs``; the paper has the normalised real and imaginary parts only.
    """

    def __init__(
        self, band_widths: tuple[int, ...], channels: int, features: int, norm: Norm, level_inputs: bool
    ) -> None:
        super().__init__()
        self.level_inputs = level_inputs
        self.groups = BandGroups(band_widths)
        self.norms = nn.ModuleList()
        self.linears = nn.ModuleList()
        for count, width in self.groups.groups:
            shape = count, 1, 2 * channels * width
            own = SequenceNorm(norm, *shape, epsilon=EPSILON) if isinstance(norm, str) else norm(*shape)
            self.norms.append(own)
            inputs = channels * (3 * width + 1) + 1 if level_inputs else 2 * channels * width
            self.linears.append(BandLinear(count, inputs, features))

    def forward(self, spectrogram: Tensor) -> Tensor:
        """[B, C, F, L] complex to [K, B, L, N]."""
        return self.of_real(torch.view_as_real(spectrogram.mT))

    def of_real(self, frames: Tensor) -> Tensor:
        """As ``forward``, for real and imaginary parts [B, C, L, F, 2], the order of a spectrogram in memory."""
        parts = frames.permute(0, 2, 1, 4, 3).contiguous()  # [B, L, C, 2, F]
        bins = parts.permute(4, 0, 1, 2, 3)  # [F, B, L, C, 2]; bins of a band are neighbours in memory
        frame_power = bins.square().sum(dim=(0, 3, 4))[..., None] if self.level_inputs else None  # [B, L, 1]
        bands = []
        for part, norm, linear in zip(self.groups.split(bins), self.norms, self.linears, strict=True):
            part = part.permute(0, 2, 3, 4, 5, 1)  # [k, B, L, C, 2, w]
            inputs = norm(part.flatten(3))
            if frame_power is not None:
                inputs = torch.cat([inputs, *_levels(part, frame_power)], dim=-1)
            bands.append(linear(inputs))
        return self.groups.join_bands(bands)


def _levels(part: Tensor, frame_power: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Magnitudes [k, B, L, C * w], log power [k, B, L, C] and log relative power [k, B, L, 1] of [k, B, L, C, 2, w]."""
    power = part.square().sum(dim=4)  # [k, B, L, C, w]
    magnitude = (power + POWER_FLOOR) ** (MAGNITUDE_POWER / 2)
    level = torch.log10(power.mean(dim=-1) + POWER_FLOOR)
    relative = torch.log10((power.sum(dim=(-2, -1))[..., None] + POWER_FLOOR) / (frame_power + POWER_FLOOR))
    return magnitude.flatten(3), level, relative
