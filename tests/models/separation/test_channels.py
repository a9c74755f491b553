"""Mixtures of any number of channels: pairs of loudspeakers go through the network together, others alone."""

import numpy as np
import pytest
import torch

from models.separation.channels import channel_groups, separate_channels
from models.separation.separator import NetworkSeparator
from scaled_copies import RATE, SETTINGS, FakeEstimate, ScaledCopies, noise


class Swapped(ScaledCopies):
    """The first stem is the mixture with left and right exchanged: it shows which channels were a pair."""

    def forward(self, mixture):
        return FakeEstimate(super().forward(mixture).waveforms.flip(2))


@pytest.mark.parametrize("channels", range(1, 10))
@pytest.mark.parametrize("most", [1, 2])
def test_every_channel_is_in_one_group(channels, most):
    groups = channel_groups(channels, most)
    assert sum(groups) == channels and set(groups) <= {1, most}


@pytest.mark.parametrize(
    ("channels", "order"),
    [(1, [0]), (2, [1, 0]), (4, [1, 0, 3, 2]), (6, [1, 0, 2, 3, 5, 4]), (7, [1, 0, 3, 2, 5, 4, 6])],
)
def test_pairs_go_through_the_network_together(channels, order):
    mixture = torch.from_numpy(noise(12_000, channels))
    separator = NetworkSeparator(Swapped(), SETTINGS)
    pieces = list(separate_channels(separator, mixture.split(5000, dim=-1), channels, RATE))
    for number, stem in enumerate(separator.stems, start=1):
        samples = torch.cat([piece[stem] for piece in pieces], dim=-1)
        np.testing.assert_allclose(samples, number * mixture[order], atol=1e-4)


def test_memory_does_not_grow_with_the_length():
    """What the separator has not given back is never more than some blocks of the mixture."""
    given = back = most = 0

    def blocks():
        nonlocal given
        for _ in range(200):
            given += 1000
            yield torch.zeros(6, 1000)

    for piece in separate_channels(NetworkSeparator(ScaledCopies(), SETTINGS), blocks(), 6, RATE):
        back += piece["vocals"].shape[-1]
        most = max(most, given - back)
    assert back == 200_000 and most < 30_000
