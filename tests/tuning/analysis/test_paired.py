"""Paired differences: the textbook's special cases, and simulated searches whose truth is known."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import t, ttest_rel

from tuning.analysis.paired import compare_pairs, holm, uncertainty

SEARCHES = 2000
# Standard deviations of cell and seed, cell and track, and the rest, dB: seeds, tracks or nothing stand out.
SPREADS = ((0.2, 0.05, 0.2), (0.05, 0.2, 0.3), (0.1, 0.1, 0.1))
NAMES = "abcdef"


def simulate(rng, truth, num_seeds, num_tracks, spreads):
    """SDRs of a search [cells, seeds, tracks]; seeds and tracks shift all cells by up to some dB."""
    cells, (by_seed, by_track, rest) = len(truth), spreads
    shared = rng.normal(0, 0.3, (1, num_seeds, 1)) + rng.normal(0, 2, (1, 1, num_tracks))
    shared = shared + rng.normal(0, 0.2, (1, num_seeds, num_tracks))
    own = rng.normal(0, by_seed, (cells, num_seeds, 1)) + rng.normal(0, by_track, (cells, 1, num_tracks))
    return np.reshape(truth, (-1, 1, 1)) + shared + own + rng.normal(0, rest, (cells, num_seeds, num_tracks))


def test_two_cells_with_one_seed_are_the_paired_t_test():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(2, 1, 7))
    expected = ttest_rel(scores[0, 0], scores[1, 0])
    pair = compare_pairs(["a", "b"], scores).iloc[0]
    assert pair.p == pytest.approx(expected.pvalue) == pair.holm
    low, high = expected.confidence_interval()
    assert sorted((abs(pair.low), abs(pair.high))) == pytest.approx(sorted((abs(low), abs(high))))


def test_what_all_cells_share_is_not_in_a_difference():
    rng = np.random.default_rng(2)
    scores = simulate(rng, [0.0, 0.5, 1.0], 2, 5, SPREADS[0])
    shifted = scores + rng.normal(0, 10, (1, 2, 5))
    columns = ["difference", "low", "high", "p", "holm"]
    expected = compare_pairs(NAMES[:3], scores)[columns]
    np.testing.assert_allclose(compare_pairs(NAMES[:3], shifted)[columns], expected, atol=1e-9)


def test_one_seed_or_one_track_gives_an_interval_and_both_give_none():
    rng = np.random.default_rng(3)
    one_seed, one_track = uncertainty(rng.normal(size=(3, 1, 6))), uncertainty(rng.normal(size=(3, 4, 1)))
    assert one_seed.freedom == 10 and math.isnan(one_seed.seeds) and one_seed.error > 0
    assert one_track.freedom == 6 and math.isnan(one_track.tracks) and one_track.error > 0
    nothing = uncertainty(rng.normal(size=(3, 1, 1)))
    assert math.isnan(nothing.error) and math.isnan(nothing.half_width)
    pairs = compare_pairs("ab", np.array([[[1.0]], [[2.0]]]))
    assert list(pairs["first"]) == ["b"] and pairs[["low", "high", "p", "holm"]].isna().all(axis=None)
    assert len(compare_pairs("a", np.zeros((1, 2, 2)))) == 0


def test_the_standard_deviations_are_those_of_the_simulation():
    rng = np.random.default_rng(4)
    found = uncertainty(simulate(rng, np.zeros(40), 8, 30, (0.3, 0.5, 0.2)))
    assert found.seeds == pytest.approx(0.3, rel=0.1) and found.tracks == pytest.approx(0.5, rel=0.1)
    variance = 2 * (0.3**2 / 8 + 0.5**2 / 30 + 0.2**2 / 240)
    assert found.error == pytest.approx(math.sqrt(variance), rel=0.1)


def test_cells_without_any_spread_differ_for_certain():
    scores = np.zeros((3, 2, 2)) + np.array([0.0, 1.0, 1.0])[:, None, None]
    assert list(compare_pairs("abc", scores).p) == [1.0, 0.0, 0.0]


def test_holm_is_that_of_the_paper():
    """Sorted p values times 4, 3, 2 and 1, never falling, at most 1."""
    assert list(holm(np.array([0.01, 0.04, 0.03, 0.9]))) == pytest.approx([0.04, 0.09, 0.09, 0.9])
    assert list(holm(np.array([0.5, 0.6]))) == [1.0, 1.0]


@pytest.mark.parametrize("spreads", SPREADS, ids=str)
@pytest.mark.parametrize(("num_seeds", "num_tracks"), [(2, 8), (3, 14)])
def test_the_interval_holds_the_truth_in_95_of_100_searches(num_seeds, num_tracks, spreads):
    rng, truth = np.random.default_rng(5), np.array([0.0, 0.1, 0.3, 0.3, 0.6, 0.9])
    held = []
    for _ in range(SEARCHES):
        scores = simulate(rng, truth, num_seeds, num_tracks, spreads)
        means, half = scores.mean(axis=(1, 2)), uncertainty(scores).half_width
        errors = (means[a] - means[b] - truth[a] + truth[b] for a, b in itertools.combinations(range(len(truth)), 2))
        held += [abs(error) <= half for error in errors]
    assert 93 <= 100 * np.mean(held) <= 97


@pytest.mark.parametrize("spreads", [*SPREADS, (0.0, 0.0, 0.3)], ids=str)
def test_a_search_of_noise_calls_a_difference_significant_in_at_most_5_of_100(spreads):
    """Any pair counts, not only the winner's: that happens more often than a named winner."""
    rng = np.random.default_rng(6)
    alarms = 0
    for _ in range(SEARCHES):
        scores = simulate(rng, np.zeros(6), 2, 8, spreads)
        means, doubt = scores.mean(axis=(1, 2)), uncertainty(scores)
        alarms += bool(np.ptp(means) > doubt.half_width_among(15))
    assert 100 * alarms / SEARCHES <= 5


def test_the_difference_of_holms_first_step_is_where_the_largest_pair_becomes_significant():
    rng = np.random.default_rng(7)
    scores = simulate(rng, [0.0, 0.0, 0.8], 2, 6, SPREADS[1])
    pairs, doubt = compare_pairs("abc", scores), uncertainty(scores)
    largest = pairs.loc[pairs.difference.idxmax()]
    assert (largest.holm < 0.05) == (largest.difference > doubt.half_width_among(3))
    assert doubt.half_width_among(3) == pytest.approx(doubt.error * t.ppf(1 - 0.025 / 3, doubt.freedom))
