"""The rule: a gap of 30 dB makes clean material, and nothing is both."""

import numpy as np
import pytest

from models.pseudo.rule import label_of

NOISE = np.random.default_rng(0).standard_normal((3, 2, 6000))


def at_gap(gap_db: float) -> tuple[np.ndarray, np.ndarray]:
    """A mixture, and a part of it that is so many dB below."""
    loud, quiet = NOISE[0], NOISE[1]
    quiet = quiet - loud * (quiet * loud).sum() / (loud * loud).sum()  # orthogonal: energies add up
    share = 10 ** (-gap_db / 10)
    quiet = quiet * np.sqrt(share / (1 - share) * (loud * loud).sum() / (quiet * quiet).sum())
    return loud + quiet, quiet


@pytest.mark.parametrize("scale", [1.0, 1e-4])
@pytest.mark.parametrize(("gap_db", "is_clean"), [(29.9, False), (30.1, True), (60, True), (3, False)])
def test_thirty_decibels_decide_at_any_level(gap_db, is_clean, scale):
    mixture, quiet = at_gap(gap_db)
    mixture, quiet = scale * mixture, scale * quiet
    assert label_of(mixture, quiet) == ("absent" if is_clean else "mixed")
    assert label_of(mixture, mixture - quiet) == ("alone" if is_clean else "mixed")


def test_a_silent_estimate_says_absent_and_the_mixture_itself_alone():
    assert label_of(NOISE[0], np.zeros_like(NOISE[0])) == "absent"
    assert label_of(NOISE[0], NOISE[0]) == "alone"


def test_an_estimate_louder_than_the_mixture_is_no_clean_material():
    assert label_of(NOISE[0], 3 * NOISE[0]) == "mixed"
    assert label_of(np.zeros((2, 10)), np.ones((2, 10))) == "mixed"


def test_a_silent_mixture_lacks_every_stem():
    assert label_of(np.zeros((2, 10)), np.zeros((2, 10))) == "absent"
