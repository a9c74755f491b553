"""benchmark.systems.bounds: laws of the ideal masks and of the multichannel Wiener filter."""

import numpy as np
import pytest

from benchmark.systems import bounds as oracle
from benchmark.systems.bounds import ORACLES, IdealBinaryMask, IdealRatioMask, WienerFilter
from models.metrics import global_sdr
from models.tracks import STEMS, open_tracks

every_oracle = pytest.mark.parametrize("make", [make for _, make in ORACLES.values()])


@every_oracle
def test_estimates_sum_to_the_mixture_and_beat_it(make, stems, mixture):
    estimates = make().separate(mixture, stems)
    assert tuple(estimates) == STEMS
    np.testing.assert_allclose(sum(estimates.values()), mixture, rtol=0, atol=1e-4)
    for stem in STEMS:
        assert estimates[stem].shape == mixture.shape and estimates[stem].dtype == np.float32
        assert global_sdr(stems[stem], estimates[stem]) > global_sdr(stems[stem], mixture) + 5


@every_oracle
def test_a_single_stem_is_returned_unchanged(make, stems):
    silence = np.zeros_like(stems["drums"])
    references = {stem: stems[stem] if stem == "drums" else silence for stem in STEMS}
    estimates = make().separate(stems["drums"], references)
    np.testing.assert_allclose(estimates["drums"], stems["drums"], rtol=0, atol=1e-5)
    assert np.abs(estimates["bass"]).max() == 0


@pytest.mark.parametrize("num_samples", [1, 2, 100, 2048, 5000])
@pytest.mark.parametrize("channels", [1, 2])
@every_oracle
def test_any_length_and_channels(make, num_samples, channels):
    noise = np.random.default_rng(0).normal(size=(4, channels, num_samples)).astype(np.float32)
    references = dict(zip(STEMS, noise, strict=True))
    estimates = make().separate(noise.sum(0), references)
    for estimate in estimates.values():
        assert estimate.shape == (channels, num_samples) and np.isfinite(estimate).all()
    silent = make().separate(np.zeros_like(noise[0]), dict.fromkeys(STEMS, np.zeros_like(noise[0])))
    assert not np.any(np.stack(list(silent.values())))


def test_a_binary_mask_separates_stems_at_different_frequencies():
    time_s = np.arange(44_100) / 44_100
    tones = {
        stem: np.tile(np.sin(2 * np.pi * hz * time_s), (2, 1))
        for stem, hz in zip(STEMS, (200, 900, 3000, 9000), strict=True)
    }
    references = {stem: tone.astype(np.float32) for stem, tone in tones.items()}
    estimates = IdealBinaryMask().separate(sum(references.values()), references)
    for stem in STEMS:
        assert global_sdr(references[stem], estimates[stem]) > 25


def test_the_wiener_filter_uses_the_panning():
    """Two stems of equal power in both channels, one in the middle, one with opposite signs: masks cannot separate."""
    left, right = np.random.default_rng(0).normal(size=(2, 44_100)).astype(np.float32)
    references = {"vocals": np.stack([left, left]), "other": np.stack([right, -right])}
    mixture = references["vocals"] + references["other"]
    filtered, masked = WienerFilter().separate(mixture, references), IdealRatioMask().separate(mixture, references)
    for stem, reference in references.items():
        assert global_sdr(reference, filtered[stem]) > 50 > 10 > global_sdr(reference, masked[stem])


def test_the_wiener_filter_is_at_least_the_ratio_mask_on_stereo(stems, mixture):
    filtered, masked = WienerFilter().separate(mixture, stems), IdealRatioMask().separate(mixture, stems)
    for stem in STEMS:
        assert global_sdr(stems[stem], filtered[stem]) > global_sdr(stems[stem], masked[stem])


def test_the_wiener_filter_does_not_depend_on_its_blocks(stems, mixture, monkeypatch):
    whole = WienerFilter().separate(mixture, stems)
    monkeypatch.setattr(oracle, "BLOCK_FRAMES", 7)
    for stem, estimate in WienerFilter().separate(mixture, stems).items():
        np.testing.assert_allclose(estimate, whole[stem], rtol=0, atol=1e-6)


def test_a_track_whose_mixture_has_another_length_is_refused(hq_root, mixture):
    track = open_tracks(hq_root, "test")[0]
    with pytest.raises(ValueError, match="expected stems shaped like the mixture"):
        IdealRatioMask().for_track(track)(mixture[:, 1:])
