"""The significant difference of two means: published tables, unequal numbers of seeds, and the rate of false alarms."""

import math

import numpy as np
import pytest

from tuning.analysis.significance import honest_difference, pooled_spread


def test_tukeys_difference_is_that_of_the_tables():
    # Studentised range for 4 means and 4 degrees of freedom at 5 %: 5.757 in the published tables.
    assert honest_difference(0.2, 4, 4, 2, 2) == pytest.approx(5.757 * 0.2 / math.sqrt(2), rel=1e-3)


def test_each_pair_has_its_own_significant_difference():
    """Tukey and Kramer: q s sqrt((1 / n + 1 / m) / 2); for four means and eight degrees of freedom q is 4.529."""
    for first, second in ((5, 5), (5, 1), (1, 1)):
        expected = 4.529 * 0.2 * math.sqrt((1 / first + 1 / second) / 2)
        assert honest_difference(0.2, 4, 8, first, second) == pytest.approx(expected, rel=1e-3)


def test_the_difference_is_nan_for_one_mean_or_without_a_spread():
    assert math.isnan(honest_difference(0.2, 1, 1, 2, 2)) and math.isnan(honest_difference(math.nan, 3, 0, 1, 1))


def test_the_spread_is_that_within_groups():
    spread, freedom = pooled_spread([[1.0, 3.0], [10.0, 10.0, 10.0], [7.0]])
    assert (spread, freedom) == (pytest.approx(math.sqrt(2 / 3)), 3)
    assert math.isnan(pooled_spread([[1.0], [2.0]])[0]) and pooled_spread([])[1] == 0


def test_one_search_in_twenty_shows_a_false_difference():
    rng = np.random.default_rng(0)
    searches = rng.standard_normal((4000, 5, 3))
    unit = honest_difference(1.0, 5, 10, 3, 3)
    spreads = np.sqrt(searches.var(axis=2, ddof=1).mean(axis=1))
    means = searches.mean(axis=2)
    alarms = np.mean(means.max(axis=1) - means.min(axis=1) > unit * spreads)
    assert alarms == pytest.approx(0.05, abs=0.01)
