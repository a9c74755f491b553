"""models.metrics: laws of the two scores, and equality with the challenge's formula and with museval."""

import warnings

import numpy as np
import pytest

from models.metrics import any_silent, csdr, frame_sdr, global_sdr, si_sdr
from models.tracks import STEMS, default_data_root, open_tracks

RATE = 2000  # museval's cost grows with the samples


def museval_sdr(references: np.ndarray, estimates: np.ndarray, frame_samples: int) -> np.ndarray:
    import museval

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return museval.evaluate(
            references.transpose(0, 2, 1).astype(np.float64),
            estimates.transpose(0, 2, 1).astype(np.float64),
            win=frame_samples,
            hop=frame_samples,
        )[0]


def challenge_sdr(references: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    """The formula as the starter kit writes it; references [S, T, C], float32."""
    delta = 1e-7
    num = np.sum(np.square(references), axis=(1, 2))
    den = np.sum(np.square(references - estimates), axis=(1, 2))
    num += delta
    den += delta
    return 10 * np.log10(num / den)


def synthetic(num_samples: int, num_stems: int = 2, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(num_samples)
    references = generator.normal(size=(num_stems, 2, num_samples)).astype(np.float32) * np.float32(0.1)
    estimates = references + noise * np.float32(0.1) * generator.normal(size=references.shape).astype(np.float32)
    return references, estimates.astype(np.float32)


def test_noise_ten_decibels_down_scores_ten_decibels():
    references, _ = synthetic(40_000)
    noise = np.random.default_rng(1).normal(size=references.shape)
    noise *= np.sqrt((references**2).sum() / (noise**2).sum() / 10)
    np.testing.assert_allclose(global_sdr(references, references + noise), 10, atol=0.2)
    np.testing.assert_allclose(csdr(frame_sdr(references, references + noise, RATE)), 10, atol=0.2)


@pytest.mark.parametrize("num_samples", [1, 999, 65_536, 70_001])
def test_global_sdr_is_the_challenges(num_samples):
    references, estimates = synthetic(num_samples)
    expected = challenge_sdr(references.transpose(0, 2, 1), estimates.transpose(0, 2, 1))
    np.testing.assert_allclose(global_sdr(references, estimates), expected, rtol=0, atol=1e-3)
    assert global_sdr(references[0], estimates[0]).shape == ()
    np.testing.assert_allclose(global_sdr(references[0], estimates[0]), expected[0], rtol=0, atol=1e-3)


def test_global_sdr_of_silence_is_finite():
    silence, loud = np.zeros((2, 100), np.float32), np.ones((2, 100), np.float32)
    assert global_sdr(silence, silence) == 0
    assert global_sdr(silence, loud) == pytest.approx(10 * np.log10(1e-7 / 200))
    assert global_sdr(loud, loud) == pytest.approx(10 * np.log10(200 / 1e-7))
    assert global_sdr(loud, silence) == 0
    assert global_sdr(np.zeros((2, 0)), np.zeros((2, 0))) == 0


@pytest.mark.parametrize("num_samples", [RATE - 1, RATE, 2 * RATE - 1, 3 * RATE + 777])
def test_frames_are_musevals(num_samples):
    references, estimates = synthetic(num_samples)
    expected = museval_sdr(references, estimates, RATE)
    frames = frame_sdr(references, estimates, RATE)
    assert frames.shape == expected.shape
    np.testing.assert_allclose(frames, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("silent", ["reference", "estimate", "opposite channels"])
def test_one_silent_stem_makes_the_frame_nan_for_all_as_in_museval(silent):
    references, estimates = synthetic(4 * RATE)
    span = slice(RATE, 2 * RATE)
    if silent == "reference":
        references[1, :, span] = 0
    elif silent == "estimate":
        estimates[0, :, span] = 0
    else:
        references[0, 1, span] = -references[0, 0, span]
    expected = museval_sdr(references, estimates, RATE)
    frames = frame_sdr(references, estimates, RATE)
    assert np.isnan(frames).sum(axis=1).tolist() == [1, 1]
    np.testing.assert_allclose(frames, expected, rtol=0, atol=1e-6)  # NaN equals NaN here
    np.testing.assert_allclose(csdr(frames), np.nanmedian(expected, axis=1), rtol=0, atol=1e-6)


def test_all_silent_stem_gives_nan_frames_without_a_warning():
    references, estimates = synthetic(3 * RATE)
    references[0] = 0
    frames = frame_sdr(references, estimates, RATE)
    assert frames.shape == (2, 3) and np.isnan(frames).all()
    assert np.isnan(csdr(frames)).all()
    assert np.isnan(frame_sdr(np.zeros((4, 2, 0)), np.zeros((4, 2, 0)), RATE)).all()


def test_perfect_frames_are_infinite_and_the_median_keeps_them():
    references, estimates = synthetic(3 * RATE)
    estimates[:, :, : 2 * RATE] = references[:, :, : 2 * RATE]
    frames = frame_sdr(references, estimates, RATE)
    assert np.isinf(frames).sum(axis=1).tolist() == [2, 2] and np.isinf(csdr(frames)).all()


def test_mono_is_scored():
    references, estimates = (stems[:, :1] for stems in synthetic(2 * RATE))
    np.testing.assert_allclose(
        frame_sdr(references, estimates, RATE), museval_sdr(references, estimates, RATE), rtol=0, atol=1e-6
    )


def test_shapes_must_match():
    with pytest.raises(ValueError, match=r"shaped like its reference \(2, 5\), got \(2, 4\)"):
        global_sdr(np.zeros((2, 5)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"expected audio \[S, C, T\], got shape \(2, 5\)"):
        frame_sdr(np.zeros((2, 5)), np.zeros((2, 5)), 5)
    with pytest.raises(ValueError, match=r"expected audio \[..., C, T\], got shape \(5,\)"):
        global_sdr(np.zeros(5), np.zeros(5))


def test_real_music_equals_museval(monkeypatch):
    monkeypatch.delenv("MUSDB_PATH", raising=False)
    (track,) = open_tracks(default_data_root(None)[0], "test")
    rate = track.sample_rate
    start, end = rate, rate + int(2.2 * rate)
    references = np.stack([track.read_stem(stem)[:, start:end] for stem in STEMS[:2]])
    estimates = np.stack([0.5 * references[0] + 0.1 * references[1], 0.8 * references[1] + 0.05 * references[0]])
    frames = frame_sdr(references, estimates, rate)
    assert frames.shape == (2, 2) and np.isfinite(frames).all()
    np.testing.assert_allclose(frames, museval_sdr(references, estimates, rate), rtol=0, atol=1e-6)
    expected = challenge_sdr(references.transpose(0, 2, 1), estimates.transpose(0, 2, 1))
    np.testing.assert_allclose(global_sdr(references, estimates), expected, rtol=0, atol=1e-3)


def test_si_sdr_ignores_the_gain_and_nothing_else():
    references, estimates = synthetic(70_001)
    scores = si_sdr(references, estimates)
    np.testing.assert_allclose(si_sdr(references, 0.25 * estimates), scores, atol=1e-6)
    assert (si_sdr(references, -references) > 120).all() and (si_sdr(references, 3 * references) > 120).all()
    noise = np.random.default_rng(1).normal(size=references.shape)
    noise *= np.sqrt((references**2).sum() / (noise**2).sum() / 10)
    np.testing.assert_allclose(si_sdr(references, references + noise), 10, atol=0.2)
    for stem in range(2):
        true, estimate = references[stem].astype(np.float64).ravel(), estimates[stem].astype(np.float64).ravel()
        target = (estimate @ true) / (true @ true) * true
        expected = 10 * np.log10((target @ target) / ((target - estimate) @ (target - estimate)))
        assert scores[stem] == pytest.approx(expected, abs=1e-6)
    assert si_sdr(references[0], estimates[0]).shape == ()


def test_si_sdr_of_silence():
    silence, loud = np.zeros((2, 100), np.float32), np.ones((2, 100), np.float32)
    assert np.isnan(si_sdr(silence, loud)) and np.isnan(si_sdr(silence, silence))
    assert np.isneginf(si_sdr(loud, silence)) and np.isposinf(si_sdr(loud, loud))
    assert np.isnan(si_sdr(np.zeros((2, 0)), np.zeros((2, 0))))


def test_a_stem_is_silent_only_if_its_channels_sum_to_zero_throughout():
    stems = np.zeros((2, 2, 70_001), np.float32)
    stems[0, 0] = 1
    assert any_silent(stems)
    stems[1, :, 5] = (1, -1)
    assert any_silent(stems)
    stems[1, 0, -1] = 1e-30
    assert not any_silent(stems) and any_silent(stems[..., :-1])
