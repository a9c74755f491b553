"""Groups bands of equal width, so that each group is computed as one batched matrix product."""

import itertools

import torch
from torch import Tensor, nn


class BandGroups(nn.Module):
    """Groups the bins of bands of equal width, and restores bands and bins to the order of frequency.

    A loop over 41 bands thus becomes a loop over their six distinct widths.

    Args:
        band_widths: bins of each band, lowest first.

    Attributes:
        groups: ``(count, width)`` of each group: ``count`` bands of ``width`` bins.
    """

    bin_order: Tensor
    bin_rank: Tensor
    band_rank: Tensor

    def __init__(self, band_widths: tuple[int, ...]) -> None:
        super().__init__()
        starts = [0, *itertools.accumulate(band_widths)]
        widths = list(dict.fromkeys(band_widths))
        bands = [band for width in widths for band, other in enumerate(band_widths) if other == width]
        self.groups = [(band_widths.count(width), width) for width in widths]
        self.in_order = bands == sorted(bands)
        bin_order = torch.cat([torch.arange(starts[band], starts[band + 1], device="cpu") for band in bands])
        self.register_buffer("bin_order", bin_order, persistent=False)
        self.register_buffer("bin_rank", bin_order.argsort(), persistent=False)
        self.register_buffer("band_rank", torch.tensor(bands).argsort(), persistent=False)

    def split(self, spectrum: Tensor) -> list[Tensor]:
        """Cut [F, ...] into one [count, width, ...] tensor for each group."""
        ordered = spectrum if self.in_order else spectrum[self.bin_order]
        parts = ordered.split([count * width for count, width in self.groups])
        return [part.unflatten(0, group) for part, group in zip(parts, self.groups, strict=True)]

    def join_bands(self, bands: list[Tensor]) -> Tensor:
        """Join [count, ...] tensors, one for each group, into [K, ...] in the order of frequency."""
        joined = torch.cat(bands)
        return joined if self.in_order else joined[self.band_rank]

    def split_bands(self, bands: Tensor) -> list[Tensor]:
        """Cut [K, ...] in the order of frequency into one [count, ...] tensor for each group."""
        ordered = bands if self.in_order else bands[self.band_rank.argsort()]
        return list(ordered.split([count for count, _ in self.groups]))

    def join_bins(self, bins: list[Tensor], dim: int = 0) -> Tensor:
        """Join one tensor for each group, with its count * width bins along ``dim``, in the order of frequency."""
        joined = torch.cat(bins, dim)
        return joined if self.in_order else joined.index_select(dim, self.bin_rank)
