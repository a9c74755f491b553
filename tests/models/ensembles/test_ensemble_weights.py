"""The weights have the best mean SDR of all weights with sum 1; only products of the estimates are needed."""

import numpy as np
import pytest

from models.ensembles.weights import best_weights, mean_sdr, products
from models.metrics import global_sdr


def tracks(*noise_levels, count=3, length=4000):
    """For each track, a reference and estimates with independent noise of these levels."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        reference = rng.standard_normal((2, length)).astype(np.float32)
        estimates = [reference + level * rng.standard_normal((2, length)).astype(np.float32) for level in noise_levels]
        made.append((reference, estimates))
    return made


def test_the_sdr_is_that_of_the_weighted_sum():
    (reference, estimates), *_ = tracks(0.5, 1.0, 2.0)
    weights = np.array([0.5, 0.3, 0.2])
    mixed = sum(weight * estimate for weight, estimate in zip(weights, estimates, strict=True))
    assert products(reference, estimates).sdr(weights) == pytest.approx(float(global_sdr(reference, mixed)), abs=1e-5)


def test_a_perfect_estimate_has_the_sdr_of_the_challenge():
    (reference, estimates), *_ = tracks(0.0, 1.0)
    made = products(reference, estimates)
    assert made.sdr(np.array([1.0, 0.0])) == pytest.approx(float(global_sdr(reference, reference)), abs=0.1)


@pytest.mark.parametrize("levels", [(0.5, 0.5), (0.5, 1.0), (1.0, 0.3, 0.7), (0.4, 0.8, 1.2, 1.6)])
def test_independent_noises_are_weighted_by_their_power(levels):
    measured = [products(*track) for track in tracks(*levels, length=40_000)]
    expected = np.array(levels) ** -2.0
    weights = best_weights(measured)
    assert weights.sum() == pytest.approx(1) and weights.min() >= 0
    np.testing.assert_allclose(weights, expected / expected.sum(), atol=0.02)


def test_it_is_no_worse_than_any_other_weights():
    rng = np.random.default_rng(1)
    measured = [products(*track) for track in tracks(0.3, 0.6, 0.9, length=300)]
    best = mean_sdr(measured, best_weights(measured))
    for weights in [*np.eye(3), np.full(3, 1 / 3), *rng.dirichlet([1, 1, 1], 2000)]:
        assert mean_sdr(measured, weights) <= best + 1e-3


def test_all_goes_to_the_perfect_member():
    measured = [products(*track) for track in tracks(1.0, 0.0, 0.5)]
    np.testing.assert_allclose(best_weights(measured), [0, 1, 0], atol=1e-12)


def test_one_member_has_it_all():
    np.testing.assert_array_equal(best_weights([products(*track) for track in tracks(1.0)]), [1])


def test_shapes_that_differ():
    with pytest.raises(ValueError, match=r"shaped like the reference \(2, 9\), got \(2, 8\)"):
        products(np.ones((2, 9)), [np.ones((2, 8))])
