"""What the stems leave of the mixture: a share of it goes to `other`."""

import dataclasses

import numpy as np
import pytest

from models.separation.separator import NetworkSeparator
from scaled_copies import RATE, SETTINGS, ScaledCopies, noise


@pytest.mark.parametrize("shifts", [1, 2])
def test_half_of_what_the_stems_leave_goes_to_other(shifts):
    mixture = noise(3 * RATE // 10)
    plain = dataclasses.replace(SETTINGS, shifts=shifts)
    network = ScaledCopies()
    network.hop = 512
    before = NetworkSeparator(network, plain).separate(mixture)
    after = NetworkSeparator(network, dataclasses.replace(plain, residual=0.5)).separate(mixture)
    left = mixture - sum(before.values())
    assert np.abs(left).max() > 1
    np.testing.assert_allclose(after["other"], before["other"] + 0.5 * left, rtol=1e-4, atol=1e-4)
    for stem in ("vocals", "drums", "bass"):
        np.testing.assert_allclose(after[stem], before[stem], rtol=1e-5, atol=1e-5)
    # The stems that were asked for do not change it.
    other = NetworkSeparator(network, dataclasses.replace(plain, residual=0.5), stems=["other"]).separate(mixture)
    np.testing.assert_allclose(other["other"], after["other"], rtol=1e-5, atol=1e-5)


def test_the_residual_needs_other_beside_more_stems():
    network = ScaledCopies()
    network.stems = ("vocals", "drums", "bass", "rest")
    with pytest.raises(ValueError, match="separate.residual: expected a network of other and more stems"):
        NetworkSeparator(network, dataclasses.replace(SETTINGS, residual=0.5))
    with pytest.raises(ValueError, match="separate.residual must be at least 0 and at most 1, got 2"):
        dataclasses.replace(SETTINGS, residual=2)
