"""Mask estimation: an MLP for each band that ends in a complex mask."""

import torch
from torch import Tensor, nn

from models.bsrnn.grouping import BandGroups
from models.bsrnn.linear import BandLinear
from models.bsrnn.norm import Norm, build_norm


class MaskEstimator(nn.Module):
    """Band features [K, B, L, N] to one stem's complex mask [B, C, F, L].

    For each band: norm -> fully connected -> tanh, ``mask_layers`` times -> fully connected -> GLU -> real and
    imaginary part for each bin.

    Args:
        band_widths: bins of each of the K bands.
        channels: C.
        features: N.
        hidden: units of each hidden layer of the MLP.
        norm: see ``Norm``.
        mask_layers: hidden layers of the MLP.

    Source: Luo & Yu 2022, section 3.3 (one hidden layer, as the text says; the authors' code has two, as the networks
        of ``models.public.magronp``).
    """

    def __init__(
        self,
        band_widths: tuple[int, ...],
        channels: int,
        features: int,
        hidden: int,
        norm: Norm,
        mask_layers: int = 1,
    ) -> None:
        super().__init__()
        bands = len(band_widths)
        self.channels = channels
        self.groups = BandGroups(band_widths)
        self.norm = build_norm(norm, bands, 1, features)
        self.hidden = BandLinear(bands, features, hidden)
        self.deeper = nn.ModuleList(BandLinear(bands, hidden, hidden) for _ in range(mask_layers - 1))
        self.outputs = nn.ModuleList(
            BandLinear(count, hidden, 4 * channels * width) for count, width in self.groups.groups
        )

    def forward(self, bands: Tensor) -> Tensor:
        """[K, B, L, N] to a complex mask [B, C, F, L]."""
        return torch.view_as_complex(self.in_real(bands)).transpose(-1, -2)

    def in_real(self, bands: Tensor) -> Tensor:
        """[K, B, L, N] to the mask's real and imaginary parts [B, C, L, F, 2], the memory order of the spectrogram."""
        hidden = torch.tanh(self.hidden(self.norm(bands)))
        for layer in self.deeper:
            hidden = torch.tanh(layer(hidden))
        bins = []
        for part, output in zip(self.groups.split_bands(hidden), self.outputs, strict=True):
            bins.append(self.in_bins(nn.functional.glu(output(part), dim=-1)))  # [B, C, L, k * w, 2]
        return self.groups.join_bins(bins, dim=3).float()

    def in_bins(self, values: Tensor) -> Tensor:
        """The values of k bands of w bins, [k, B, L, w * C * 2], as bins [B, C, L, k * w, 2]."""
        values = values.unflatten(-1, (-1, self.channels, 2))  # [k, B, L, w, C, 2]
        return values.permute(1, 4, 2, 0, 3, 5).flatten(3, 4)
