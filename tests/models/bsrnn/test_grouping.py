"""Grouping by width: each group holds its bands, and joining undoes splitting, in whatever order the widths come."""

import itertools

import pytest
import torch

from models.bsrnn import band_widths
from models.bsrnn.grouping import BandGroups

SORTED = [(3,), (1, 1, 1), (2, 2, 5), band_widths("v7"), band_widths("joint57")]
V7_BY_NEAREST_BINS = (
    *(5, 4, 5, 5, 4, 5, 5, 4, 5, 4, 12, 12, 11, 12, 11, 12, 12, 11, 12, 12, 11, 12),
    *(23, 23, 23, 24, 23, 23, 23, 24, 46, 46, 47, 46, 47, 46, 47, 46, 93, 93, 96),
)
"""The edges of V7 at n_fft 2048, each at its nearest bin."""
UNSORTED = [(5, 4, 5), (1, 2, 1, 1, 5, 6, 5, 5, 7), (9, 2, 2, 9, 1), V7_BY_NEAREST_BINS]


def spectrum(widths: tuple[int, ...]) -> torch.Tensor:
    """Each entry unlike all others, [F, 2, 3]."""
    return torch.arange(sum(widths) * 6.0).reshape(-1, 2, 3)


@pytest.mark.parametrize("widths", SORTED + UNSORTED, ids=str)
class TestEveryOrder:
    def test_one_group_for_each_width(self, widths):
        groups = BandGroups(widths).groups
        assert sorted(groups, key=lambda group: group[1]) == [
            (len(list(run)), width) for width, run in itertools.groupby(sorted(widths))
        ]

    def test_split_gives_each_group_its_bands(self, widths):
        groups, bins = BandGroups(widths), spectrum(widths)
        bands = bins.split(list(widths))
        parts = groups.split(bins)
        assert len(parts) == len(groups.groups)
        for part, (count, width) in zip(parts, groups.groups, strict=True):
            assert part.shape == (count, width, 2, 3)
            assert torch.equal(part, torch.stack([band for band in bands if len(band) == width]))

    def test_join_bins_undoes_split(self, widths):
        groups, bins = BandGroups(widths), spectrum(widths)
        assert torch.equal(groups.join_bins([part.flatten(0, 1) for part in groups.split(bins)]), bins)

    def test_split_bands_gives_each_group_its_bands(self, widths):
        groups = BandGroups(widths)
        for part, (_, width) in zip(groups.split_bands(torch.arange(len(widths))), groups.groups, strict=True):
            assert part.tolist() == [band for band, other in enumerate(widths) if other == width]

    def test_join_bands_undoes_split_bands(self, widths):
        groups = BandGroups(widths)
        bands = torch.arange(len(widths) * 4.0).reshape(-1, 4)
        assert torch.equal(groups.join_bands(groups.split_bands(bands)), bands)

    def test_one_value_for_each_band_lands_on_its_bins(self, widths):
        """From bins to bands and back, as for a mask."""
        groups = BandGroups(widths)
        parts = groups.split_bands(torch.arange(len(widths)))
        bins = [part.repeat_interleave(width) for part, (_, width) in zip(parts, groups.groups, strict=True)]
        assert torch.equal(groups.join_bins(bins), torch.arange(len(widths)).repeat_interleave(torch.tensor(widths)))

    def test_the_order_is_no_weight(self, widths):
        assert not BandGroups(widths).state_dict()


def test_order_is_only_restored_where_it_was_lost():
    assert all(BandGroups(widths).in_order for widths in SORTED)
    assert not any(BandGroups(widths).in_order for widths in UNSORTED)
