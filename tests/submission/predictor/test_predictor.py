"""The challenge's class, alone and through a wrapper that does what the kit's does."""

import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from conftest import SAMPLE_RATE, STEMS
from fake_networks import GAINS, FakeClock, scaling_separator
from models.bsrnn import Estimate
from models.checkpoints.checkpoint import find_checkpoint, load_checkpoint
from models.metrics import global_sdr
from models.separation.separator import load_separator
from models.tracks import default_data_root, open_tracks
from submission.predictor.predictor import BandsplitPredictor
from submission.rules.challenge import INSTRUMENTS, PCM16_MAX


def make_predictor(**gains: float) -> BandsplitPredictor:
    """The challenge's class around a network that scales the mixture, on a machine that takes no time."""
    clock = FakeClock()
    return BandsplitPredictor([scaling_separator(clock, gains=gains or None)], clock=clock)


class KitWrapper:
    """What the kit does around the class: read the mixture, check the keys, write each stem without a subtype."""

    instruments = ("bass", "drums", "other", "vocals")

    def __init__(self, build_model, dataset: Path, predictions: Path):
        self.model = build_model()
        self.dataset, self.predictions = dataset, predictions

    def separate_music_file(self, track: str) -> None:
        samples, rate = soundfile.read(str(self.dataset / track / "mixture.wav"))
        stems, rates = self.model.separate_music_file(samples, rate)
        assert set(stems) == set(self.instruments)
        folder = self.predictions / track
        folder.mkdir(exist_ok=True)
        for name in self.instruments:
            soundfile.write(str(folder / f"{name}.wav"), data=stems[name], samplerate=rates[name])


def through_the_kit(tmp_path: Path, build_model, samples: np.ndarray, rate: int = SAMPLE_RATE) -> dict[str, np.ndarray]:
    """Write `samples` as a track, run the wrapper over it and read the predictions back as the grader does."""
    dataset, predictions = tmp_path / "dataset", tmp_path / "predictions"
    (dataset / "song").mkdir(parents=True)
    predictions.mkdir()
    soundfile.write(dataset / "song" / "mixture.wav", samples, rate, subtype="FLOAT")
    KitWrapper(build_model, dataset, predictions).separate_music_file("song")
    written = {}
    for name in INSTRUMENTS:
        path = predictions / "song" / f"{name}.wav"
        assert soundfile.info(path).subtype == "PCM_16"
        written[name], written_rate = soundfile.read(path)
        assert written_rate == rate
    return written


def check_contract(
    predictor: BandsplitPredictor, samples: np.ndarray, rate: int = SAMPLE_RATE
) -> dict[str, np.ndarray]:
    stems, rates = predictor.separate_music_file(samples, rate)
    assert set(stems) == set(rates) == set(predictor.instruments)
    num_channels = 1 if samples.ndim == 1 else samples.shape[1]
    for name, stem in stems.items():
        assert stem.shape == (len(samples), num_channels)
        assert stem.dtype == np.float32
        assert np.isfinite(stem).all()
        assert stem.size == 0 or (stem.min() >= -1 and stem.max() < 1)
        assert type(rates[name]) is int and rates[name] == rate
    return stems


def test_interface():
    predictor = make_predictor()
    assert predictor.instruments == ["bass", "drums", "other", "vocals"]
    with pytest.raises(NameError, match="too loud"):
        predictor.raise_aicrowd_error("too loud")


def test_a_separator_without_all_instruments_is_refused():
    with pytest.raises(ValueError, match="without bass, other"):
        make_predictor(vocals=1.0, drums=1.0)


def test_stems_keep_channels_order_and_values(mixture: np.ndarray):
    stems = check_contract(make_predictor(), mixture.T.astype(np.float64))
    np.testing.assert_allclose(stems["bass"], np.float32(0.2) * mixture.T, rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "rate"),
    [
        ((6000,), 44100),
        ((6000, 1), 44100),
        ((6000, 2), 22050),
        ((6000, 2), 44099),
        ((0, 2), 44100),
        ((0,), 8000),
    ],
)
def test_any_shape_and_rate(shape: tuple[int, ...], rate: int):
    check_contract(make_predictor(), np.random.default_rng(0).uniform(-1, 1, shape), rate)


@pytest.mark.parametrize("shape", [(1, 2), (7,), (44, 2), (2205, 6)])
def test_a_track_too_short_for_any_network_is_a_quarter_of_the_mixture_with_a_warning(shape: tuple[int, ...]):
    samples = np.random.default_rng(0).uniform(-1, 1, shape)
    with pytest.warns(RuntimeWarning, match="mixture scaled"):
        stems = check_contract(make_predictor(), samples)
    np.testing.assert_allclose(stems["bass"], samples.reshape(len(samples), -1) / 4, rtol=1e-6)


@pytest.mark.parametrize("milliseconds", [1, 5, 20, 50])
def test_short_tracks_end_in_time_whatever_the_network_takes(milliseconds: int):
    """The best of five, as a busy machine may let any of them wait."""
    separator = scaling_separator()
    predictor = BandsplitPredictor([separator])
    original = separator.network.forward

    def slow(mixture: torch.Tensor) -> Estimate:
        time.sleep(0.3)
        return original(mixture)

    separator.network.forward = slow
    samples = np.full((SAMPLE_RATE * milliseconds // 1000, 2), 0.5)
    shares = []
    for _ in range(5):
        start = time.perf_counter()
        with pytest.warns(RuntimeWarning, match="mixture scaled"):
            predictor.separate_music_file(samples, SAMPLE_RATE)
        shares.append((time.perf_counter() - start) / (1.57e-3 * milliseconds))
    assert min(shares) < 1


def test_returned_rates_are_python_ints():
    _, rates = make_predictor().separate_music_file(np.zeros((6000, 2)), np.float64(44100.0))
    assert all(type(rate) is int for rate in rates.values())


def test_silence_stays_exactly_silent():
    stems = check_contract(make_predictor(), np.zeros((6000, 2)))
    assert all(not stem.any() for stem in stems.values())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300, -1e9])
def test_damaged_input_becomes_silence_with_a_warning(bad: float):
    samples = np.full((6000, 2), 0.5)
    samples[10, 1] = bad
    predictor = make_predictor()
    with pytest.warns(RuntimeWarning, match="1 samples of the mixture are NaN"):
        stems = check_contract(predictor, samples)
    assert stems["vocals"][10, 1] == 0
    assert stems["vocals"][10, 0] == stems["vocals"][9, 1] == pytest.approx(0.2)


def test_damaged_estimates_become_silence_with_a_warning():
    predictor = make_predictor(vocals=0.5, bass=0.5, other=0.5, drums=np.nan)
    with pytest.warns(RuntimeWarning, match="samples of drums are NaN"):
        stems = check_contract(predictor, np.full((6000, 2), 0.5))
    assert not stems["drums"].any()
    assert stems["bass"].all()


def test_clipping_costs_less_than_the_estimate_itself_and_than_scaling(mixture: np.ndarray):
    reference = np.clip(4 * mixture, -1, PCM16_MAX)
    estimate = 5 * mixture + 0.05 * np.random.default_rng(0).standard_normal(mixture.shape).astype(np.float32)
    assert np.abs(estimate).max() > 1.2
    predictor = make_predictor(**dict.fromkeys(STEMS, 1.0))
    clipped = check_contract(predictor, estimate.T)["vocals"].T
    scaled = estimate / np.abs(estimate).max()
    assert global_sdr(reference, clipped) > global_sdr(reference, estimate)
    assert global_sdr(reference, clipped) > global_sdr(reference, scaled)


@pytest.mark.parametrize("channels", [1, 2])
def test_through_the_kits_wrapper(tmp_path: Path, mixture: np.ndarray, channels: int):
    samples = mixture.T[:, :channels]
    written = through_the_kit(tmp_path, lambda: make_predictor(), samples)
    for name, gain in GAINS.items():
        expected = gain * (samples if channels == 2 else samples[:, 0])
        np.testing.assert_allclose(written[name], expected, atol=1 / 32768)


def test_full_scale_survives_pcm16_without_wrapping(tmp_path: Path):
    samples = np.tile([[3.0, -3.0], [1.0, -1.0], [0.5, -0.5]], (2000, 1))
    written = through_the_kit(tmp_path, lambda: make_predictor(**dict.fromkeys(STEMS, 1.0)), samples)
    expected = np.tile([[PCM16_MAX, -1.0], [PCM16_MAX, -1.0], [0.5, -0.5]], (2000, 1))
    np.testing.assert_array_equal(written["other"], expected)


def test_the_shipped_checkpoint_separates_real_music_through_the_kits_wrapper(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("MUSDB_PATH", raising=False)
    (track,) = open_tracks(default_data_root(None)[0], "test")
    references, mixture = track.read_stems(), track.read_mixture()
    # A clock that stands still: on a busy machine too, the network has all the time it wants.
    networks = [load_separator(name) for name in BandsplitPredictor.ensemble]
    written = through_the_kit(tmp_path, lambda: BandsplitPredictor(networks, clock=FakeClock()), mixture.T)
    gains_db = [
        float(global_sdr(references[name], written[name].T.astype(np.float32)) - global_sdr(references[name], mixture))
        for name in INSTRUMENTS
    ]
    assert min(gains_db) > 2 and np.mean(gains_db) > 5


@pytest.mark.parametrize("name", ["small", "tiny", "openunmix-small", "hdemucs-small"])
def test_shipped_checkpoints_load_and_name_their_data_and_licence(name: str):
    folder = find_checkpoint(name)
    assert load_checkpoint(folder).identity.startswith(f"{name}@")
    assert (folder / "weights.safetensors").stat().st_size < 16 * 2**20
    card = (folder / "README.md").read_text()
    assert "musdb18-7" in card and "CC BY-NC-SA 4.0" in card


@pytest.mark.slow
def test_the_shipped_checkpoints_separate_on_any_machine():
    predictor = BandsplitPredictor()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a busy machine may make it say that time ran short
        check_contract(predictor, 0.1 * np.random.default_rng(0).standard_normal((4410, 2)))
    assert predictor.account is not None and predictor.account.best.startswith("small@")


def test_reduced_quality_is_a_warning():
    clock = FakeClock()
    predictor = BandsplitPredictor([scaling_separator(clock, cost=50.0, name="slow")], clock=clock)
    with pytest.warns(RuntimeWarning, match=r"time ran short \(allowed: 1.6 s\).*1.0 s by mixture scaled"):
        stems = check_contract(predictor, np.full((SAMPLE_RATE, 2), 0.5))
    assert stems["vocals"][0, 0] == pytest.approx(0.125)
