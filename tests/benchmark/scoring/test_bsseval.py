"""benchmark.scoring.bsseval: equality with museval on real music and on the edges, and laws of the decomposition."""

import warnings

import numpy as np
import pytest

from benchmark.scoring import bsseval as module
from benchmark.scoring.bsseval import FILTER_TAPS, METRICS, BSSEval, bsseval
from benchmark.scoring.scores import score
from models.tracks import STEMS, default_data_root, open_tracks

RATE = 2000  # museval's cost grows with the samples
ROUNDING_DB = 120.0
"""Larger ratios are rounding errors, in museval too."""


def museval_scores(references: np.ndarray, estimates: np.ndarray, frame_samples: int) -> dict[str, np.ndarray]:
    import museval

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = museval.evaluate(
            references.transpose(0, 2, 1).astype(np.float64),
            estimates.transpose(0, 2, 1).astype(np.float64),
            win=frame_samples,
            hop=frame_samples,
        )
    return dict(zip(METRICS, values, strict=True))


def assert_equals_museval(references: np.ndarray, estimates: np.ndarray, frame_samples: int = RATE) -> None:
    """As `assert_equals`, of our scores and museval's."""
    assert_equals(bsseval(references, estimates, frame_samples), museval_scores(references, estimates, frame_samples))


def frames_of(scores: dict) -> dict[str, np.ndarray]:
    """The frames of `score`, as arrays [S, number of frames]."""
    return {metric: np.array(list(by_stem.values())) for metric, by_stem in scores["frames"].items()}


def assert_equals(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    """Every frame within 1e-3 dB, NaN where museval says NaN; above ROUNDING_DB both only need to be there."""
    for metric in METRICS:
        assert ours[metric].shape == theirs[metric].shape
        capped = [np.minimum(values[metric], ROUNDING_DB) for values in (ours, theirs)]
        np.testing.assert_allclose(*capped, rtol=0, atol=1e-3, err_msg=metric)  # NaN equals NaN here


def synthetic(num_samples: int, num_stems: int = 2, channels: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Stems, and estimates with every kind of error: a wrong balance, other stems in them, noise."""
    rng = np.random.default_rng(num_samples)
    references = (0.1 * rng.normal(size=(num_stems, channels, num_samples))).astype(np.float32)
    estimates = 0.9 * references + 0.2 * np.roll(references, 3, axis=-1) + 0.1 * references.sum(0)
    estimates += 0.03 * rng.normal(size=references.shape)
    return references, estimates.astype(np.float32)


@pytest.mark.parametrize("num_samples", [1, 100, RATE - 1, RATE, 2 * RATE - 1, 5 * RATE + 777])
def test_short_tracks_and_left_over_samples(num_samples):
    assert_equals_museval(*synthetic(num_samples))


@pytest.mark.parametrize(
    ("num_stems", "channels"), [(1, 2), (2, 1), (1, 1), pytest.param(3, 2, marks=pytest.mark.slow)]
)
def test_mono_and_other_numbers_of_stems(num_stems, channels):
    assert_equals_museval(*synthetic(3 * RATE, num_stems, channels))


@pytest.mark.parametrize("silent", ["reference", "estimate", "opposite channels"])
def test_silent_frames(silent):
    references, estimates = synthetic(4 * RATE)
    span = slice(RATE, 2 * RATE)
    if silent == "reference":
        references[1, :, span] = 0
    elif silent == "estimate":
        estimates[0, :, span] = 0
    else:
        references[0, 1, span] = -references[0, 0, span]
    assert_equals_museval(references, estimates)
    assert np.isnan(bsseval(references, estimates, RATE)["SAR"]).sum(axis=1).tolist() == [1, 1]


def test_identical_estimates():
    references, estimates = synthetic(3 * RATE)
    assert_equals_museval(references, references)
    assert np.isposinf(bsseval(references, references, RATE)["SDR"]).all()
    estimates[0] = references[0]
    assert_equals_museval(references, estimates)


def test_equal_channels_make_the_normal_equations_singular():
    references, estimates = synthetic(3 * RATE, num_stems=2)
    references[:, 1] = references[:, 0]
    assert_equals_museval(references, estimates)


def test_with_a_stem_that_is_silent_throughout_all_frames_are_nan():
    references, estimates = synthetic(3 * RATE)
    for stems in (references, estimates):
        kept = stems[1].copy()
        stems[1] = 0
        scores = bsseval(references, estimates, RATE)
        assert set(scores) == set(METRICS) and all(np.isnan(values).all() for values in scores.values())
        assert scores["SDR"].shape == (2, 3)
        stems[1] = kept


def test_a_filtered_stem_is_spatial_distortion_another_stem_interference_and_noise_an_artifact():
    references, _ = synthetic(6 * RATE)
    filtered = 0.8 * references + 0.3 * np.roll(references, 7, axis=-1)
    scores = bsseval(references, filtered, RATE)
    np.testing.assert_allclose(scores["ISR"], scores["SDR"], atol=0.2)
    assert (scores["SIR"] > 40).all()
    assert (scores["SAR"] > 25).all()  # a frame does not know the 7 samples before it
    leaked = references + 0.1 * references[::-1]
    scores = bsseval(references, leaked, RATE)
    np.testing.assert_allclose(scores["SIR"], 20, atol=1.5)
    assert (scores["SAR"] > 100).all()
    noise = np.random.default_rng(1).normal(size=references.shape) * 0.01
    scores = bsseval(references, references + noise, RATE)
    np.testing.assert_allclose(scores["SAR"], 20, atol=2.5)
    assert (scores["SIR"] > scores["SAR"]).all()


def test_one_factorisation_serves_all_systems_and_threads_change_nothing(monkeypatch):
    references, estimates = synthetic(9 * RATE)
    track = BSSEval(references, workers=2)
    first = track.score(estimates, RATE)
    monkeypatch.setattr(module, "_NormalEquations", None)  # making them again would fail
    again, other = track.score(estimates, RATE), track.score(references + 0.5 * estimates, RATE)
    monkeypatch.undo()
    for metric in METRICS:
        np.testing.assert_array_equal(first[metric], again[metric])
        np.testing.assert_array_equal(first[metric], bsseval(references, estimates, RATE)[metric])
        assert not np.array_equal(first[metric], other[metric])


def test_correlations_do_not_depend_on_the_blocks(monkeypatch):
    signals = np.random.default_rng(0).normal(size=(3, 9000))
    expected = np.stack([[np.correlate(b, a, "full")[8999 : 8999 + FILTER_TAPS] for b in signals] for a in signals])
    np.testing.assert_allclose(module._correlations(signals, signals), expected, atol=1e-9)
    monkeypatch.setattr(module, "_BLOCKS_AT_ONCE", 2)
    monkeypatch.setattr(module, "_BLOCK_FFT", 1024)
    np.testing.assert_allclose(module._correlations(signals, signals), expected, atol=1e-9)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"expected audio \[S, C, T\], got shape \(2, 5\)"):
        BSSEval(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="shaped like its reference"):
        bsseval(np.ones((1, 2, 5)), np.ones((1, 2, 4)), 5)


@pytest.mark.slow
def test_real_music_equals_museval(monkeypatch):
    monkeypatch.delenv("MUSDB_PATH", raising=False)
    (track,) = open_tracks(default_data_root(None)[0], "test")
    rate = track.sample_rate
    references = np.stack([track.read_stem(stem)[:, rate : rate + int(2.2 * rate)] for stem in STEMS])
    estimates = 0.8 * references + 0.1 * references.sum(axis=0)
    estimates += 0.01 * np.random.default_rng(0).normal(size=references.shape).astype(np.float32)
    by_museval = score(references, estimates, STEMS, rate, "museval")
    assert_equals(bsseval(references, estimates, rate), frames_of(by_museval))
    ours = score(references, estimates, STEMS, rate)
    for name in ("sdr", "si_sdr", "csdr", "isr", "sir", "sar"):
        assert ours[name] == pytest.approx(by_museval[name], abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("index", range(10))
def test_ten_real_tracks_equal_museval(index):
    root = default_data_root(None)[0]
    tracks = open_tracks(root, "test")
    if len(tracks) < 10:
        pytest.skip(f"{root} has {len(tracks)} test tracks; MUSDB_PATH names a data set with ten")
    track = tracks[index]
    stems = track.read_stems(("mixture", *STEMS))
    mixture = stems.pop("mixture")
    references = np.stack([stems[stem] for stem in STEMS])
    length = int(10 * track.sample_rate)
    from models import load_separator

    separated = load_separator("small").separate(mixture[:, :length], track.sample_rate)
    estimates = np.stack([separated[stem] for stem in STEMS])
    assert_equals_museval(references[..., :length], estimates, track.sample_rate)
