"""The winner judged by what did not choose it: without bias where the own figures of the winner have one."""

import numpy as np
import pytest

from tuning.analysis.cross_fit import cross_fit


def searches(rng, truth, num_seeds, num_tracks, validations=1):
    """The curves of a search; every trial differs from seed to seed and from track to track, and at each validation."""
    tracks = rng.normal(0, 1, num_tracks)
    return [
        [value + tracks + rng.normal(0, 0.3, (validations, num_tracks)) + rng.normal(0, 0.2) for _ in range(num_seeds)]
        for value in truth
    ]


@pytest.mark.parametrize(("num_seeds", "num_tracks", "validations"), [(2, 6, 1), (2, 6, 4), (3, 5, 2)])
def test_a_search_of_noise_has_no_lead_where_it_is_judged(num_seeds, num_tracks, validations):
    rng = np.random.default_rng(0)
    found = [cross_fit(searches(rng, np.zeros(6), num_seeds, num_tracks, validations)) for _ in range(500)]
    assert np.mean([each.own_lead for each in found]) > 0.1  # what the winner seems to be worth
    assert np.mean([each.lead for each in found]) == pytest.approx(0, abs=0.04)
    assert np.mean([each.sdr for each in found]) == pytest.approx(0, abs=0.06)
    assert np.mean([each.own_sdr for each in found]) > 0.15


def test_a_clear_winner_is_chosen_every_time_and_keeps_its_lead():
    rng = np.random.default_rng(1)
    found = cross_fit(searches(rng, [0.0, 5.0, 1.0], 2, 6))
    assert found.picks == (1, 1, 1, 1) and found.lead == pytest.approx(4, abs=0.6)
    assert found.splits_seeds and found.splits_tracks


def test_one_seed_splits_tracks_alone_and_one_of_both_cannot_be_judged():
    rng = np.random.default_rng(2)
    found = cross_fit(searches(rng, [0.0, 1.0], 1, 6))
    assert len(found.picks) == 2 and not found.splits_seeds
    assert cross_fit(searches(rng, [0.0, 1.0], 1, 1)) is None


def test_the_validation_is_chosen_by_the_tracks_that_do_not_judge():
    """At the first validation the first track is good, at the second the other one."""
    curves = [[np.array([[1.0, 0.0], [0.0, 1.0]])]]
    found = cross_fit(curves)
    assert (found.own_sdr, found.sdr) == (1.0, 0.0)
