"""benchmark.oracle: laws of the ideal ratio mask."""

import numpy as np
import pytest

from benchmark.oracle import IdealRatioMask
from models.metrics import global_sdr
from models.tracks import STEMS


def test_estimates_sum_to_the_mixture_and_beat_it(stems, mixture):
    estimates = IdealRatioMask().separate(mixture, stems)
    assert tuple(estimates) == STEMS
    np.testing.assert_allclose(sum(estimates.values()), mixture, rtol=0, atol=1e-4)
    for stem in STEMS:
        assert estimates[stem].shape == mixture.shape and estimates[stem].dtype == np.float32
        assert global_sdr(stems[stem], estimates[stem]) > global_sdr(stems[stem], mixture) + 5


def test_a_stem_alone_is_returned_whole(stems):
    silence = np.zeros_like(stems["drums"])
    references = {stem: stems[stem] if stem == "drums" else silence for stem in STEMS}
    estimates = IdealRatioMask().separate(stems["drums"], references)
    np.testing.assert_allclose(estimates["drums"], stems["drums"], rtol=0, atol=1e-5)
    assert np.abs(estimates["bass"]).max() == 0


@pytest.mark.parametrize("num_samples", [1, 2, 100, 2048, 5000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_length_and_channels(num_samples, channels):
    noise = np.random.default_rng(0).normal(size=(4, channels, num_samples)).astype(np.float32)
    references = dict(zip(STEMS, noise, strict=True))
    estimates = IdealRatioMask().separate(noise.sum(0), references)
    for estimate in estimates.values():
        assert estimate.shape == (channels, num_samples) and np.isfinite(estimate).all()
    silent = IdealRatioMask().separate(np.zeros_like(noise[0]), dict.fromkeys(STEMS, np.zeros_like(noise[0])))
    assert not np.any(np.stack(list(silent.values())))
