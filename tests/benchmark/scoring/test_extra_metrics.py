"""Metrics besides the SDR's: each equals the package or the formula that defines it."""

import math

import numpy as np
import pytest
import torch

from benchmark.scoring.accompaniment import ACCOMPANIMENT, accompaniment
from benchmark.scoring.log_wmse import LogWMSE, hearing_filter
from benchmark.scoring.metrics import EXTRA, METRICS, parse_metrics
from benchmark.scoring.scores import score_extra
from benchmark.scoring.si_sar import si_sar
from benchmark.scoring.silence import energy_at_silence
from benchmark.scoring.spectral import bleedless_and_fullness, l1_freq, mrstft
from models.metrics import si_sdr
from models.tracks import STEMS

RATE = 44100


@pytest.fixture(scope="module")
def audio():
    """Mixture, true stem (silent at first) and estimate, [C, T]."""
    rng = np.random.default_rng(0)
    mixture, true, error = (rng.normal(scale=scale, size=(2, 66_150)).astype(np.float32) for scale in (0.1, 0.05, 0.02))
    true[:, :20_000] = 0
    return mixture, true, true + error


def batch(audio):
    return torch.from_numpy(audio)[None]


def test_mrstft_is_auraloss(audio):
    from auraloss.freq import MultiResolutionSTFTLoss

    _, true, estimate = audio
    theirs = MultiResolutionSTFTLoss()(batch(estimate), batch(true)).item()
    assert mrstft(true, estimate) == pytest.approx(theirs, rel=1e-5)
    assert mrstft(true, true) == 0 and math.isnan(mrstft(true[:, :1024], true[:, :1024]))


@pytest.mark.parametrize("silent", [False, True])
def test_log_wmse_is_torch_log_wmse(audio, silent):
    from torch_log_wmse import LogWMSE as Theirs

    mixture, true, estimate = audio
    true = true * (not silent)
    theirs = Theirs(sample_rate=RATE)(batch(mixture), batch(estimate)[:, :, None], batch(true)[:, :, None]).item()
    assert LogWMSE(mixture, RATE).score(true, estimate) == pytest.approx(theirs, abs=1e-3)


def test_log_wmse_ends_at_its_largest_value_and_resamples(audio):
    mixture, true, estimate = audio
    assert LogWMSE(mixture, RATE).score(true, true) == pytest.approx(73.6827, abs=1e-3)
    assert LogWMSE(0 * mixture, RATE).score(true, estimate) == pytest.approx(73.6827, abs=1e-3)
    time_s = np.arange(96_000) / 96_000
    tone = np.tile(np.sin(2 * np.pi * 1000 * time_s), (2, 1)).astype(np.float32)
    assert LogWMSE(tone, 96_000).score(0 * tone, 0.1 * tone) == pytest.approx(18.42, abs=0.05)  # an error 20 dB down


def test_the_hearing_filter_is_that_of_the_package():
    from torch_log_wmse.freq_weighting_filter import load_bundled_impulse_response

    np.testing.assert_allclose(hearing_filter(), load_bundled_impulse_response().numpy(), atol=1e-7)


def test_l1_freq_is_its_formula(audio):
    _, true, estimate = audio
    magnitudes = []
    for signal in (true, estimate):
        padded = np.pad(signal.astype(np.float64), [(0, 0), (1024, 1024)], mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, 2048, axis=-1)[:, ::1024]
        magnitudes.append(np.abs(np.fft.rfft(frames)))
    expected = 100 / (1 + 10 * np.abs(magnitudes[0] - magnitudes[1]).mean())
    assert l1_freq(true, estimate) == pytest.approx(expected, rel=1e-6)
    assert l1_freq(true, estimate) == pytest.approx(14.517253581770586, rel=1e-6)  # L1Freq_metric of MSST says so
    assert l1_freq(true, true) == 100 and math.isnan(l1_freq(true[:, :1024], true[:, :1024]))


def test_bleedless_and_fullness_are_their_formula(audio):
    from torchaudio.functional import melscale_fbanks

    _, true, estimate = audio
    bank = melscale_fbanks(2049, 0.0, RATE / 2, 512, RATE, norm="slaney", mel_scale="slaney").double().numpy()
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(4096) / 4096)
    decibels = []
    for signal in (true, estimate):
        padded = np.pad(signal.astype(np.float64), [(0, 0), (2048, 2048)])
        frames = np.lib.stride_tricks.sliding_window_view(padded, 4096, axis=-1)[:, ::1024] * window
        mel = 20 * np.log10(np.maximum(np.abs(np.fft.rfft(frames)) @ bank, 1e-10))
        decibels.append(np.maximum(mel, mel.max() - 80))
    difference = decibels[1] - decibels[0]
    more, less = difference[difference > 0].mean(), -difference[difference < 0].mean()
    found = bleedless_and_fullness(true, estimate, RATE)
    assert found == pytest.approx((100 / (1 + more), 100 / (1 + less)), rel=1e-3)
    assert found == pytest.approx((4.254706, 38.396282), rel=1e-5)  # bleed_full of MSST says so
    assert bleedless_and_fullness(true, true, RATE) == (100, 100)


def test_a_leak_costs_bleedless_and_a_hole_costs_fullness(audio):
    _, true, _ = audio
    loud, quiet = (bleedless_and_fullness(true, np.float32(gain) * true, RATE) for gain in (2, 0.5))
    assert loud[0] < 20 and loud[1] == 100 and quiet[0] == 100 and quiet[1] < 20


def test_si_sar_is_the_formula_of_le_roux():
    """One channel, as the paper has it; and 1/SI-SDR is 1/SI-SIR + 1/SI-SAR, since the two errors are orthogonal."""
    rng = np.random.default_rng(1)
    true = rng.normal(size=(3, 1, 5000)) + rng.normal(size=(1, 1, 5000))  # correlated
    estimates = 0.7 * true + 0.2 * true[[1, 2, 0]] + rng.normal(scale=0.1, size=true.shape)
    found = si_sar(true, estimates)
    for index in range(3):
        target, estimate = true[index, 0], estimates[index, 0]
        scaled = target * (estimate @ target) / (target @ target)
        residual = estimate - scaled
        weights = np.linalg.lstsq(true[:, 0].T, residual, rcond=None)[0]
        interference = true[:, 0].T @ weights
        artifacts = residual - interference
        assert found[index] == pytest.approx(10 * np.log10((scaled @ scaled) / (artifacts @ artifacts)), abs=1e-9)
        share = (interference @ interference + artifacts @ artifacts) / (scaled @ scaled)
        assert si_sdr(true[index], estimates[index]) == pytest.approx(-10 * np.log10(share), abs=1e-9)


def test_si_sar_forgives_leaks_and_knows_silence():
    rng = np.random.default_rng(2)
    true = rng.normal(size=(3, 2, 4000))
    assert (si_sar(true, true + 0.5 * true[[1, 2, 0]]) > 100).all()
    true[1] = 0
    estimates = true + rng.normal(scale=0.1, size=true.shape)
    estimates[2] = 0
    first, silent, nothing = si_sar(true, estimates)
    assert first == pytest.approx(20, abs=0.2) and math.isnan(silent) and nothing == -math.inf


def test_energy_at_silence_is_its_formula(audio):
    _, true, estimate = audio
    true = true.copy()
    true[:, :RATE] = 0
    expected = 10 * np.log10(np.sum(estimate[:, :RATE].astype(np.float64) ** 2) + 1e-12)
    assert energy_at_silence(true, estimate, RATE) == pytest.approx(expected, abs=1e-9)
    assert energy_at_silence(true, 0 * estimate, RATE) == pytest.approx(-120)
    assert math.isnan(energy_at_silence(true[:, RATE:], estimate[:, RATE:], RATE))
    almost = true + np.float32(5e-4)  # -66 dBFS, as lossy silence
    assert energy_at_silence(almost, estimate, RATE) == pytest.approx(expected, abs=1e-9)


def test_all_are_scored_for_every_stem_and_the_accompaniment(stems):
    noise = np.random.default_rng(0)
    estimates = {stem: audio + noise.normal(scale=0.02, size=audio.shape) for stem, audio in stems.items()}
    mixture = sum(stems.values())
    found = score_extra(stems, estimates, mixture, RATE)
    assert tuple(found) == EXTRA and all(set(values) == {*STEMS, ACCOMPANIMENT} for values in found.values())
    rest = [accompaniment(side) for side in (stems, estimates)]
    assert found["l1_freq"][ACCOMPANIMENT] == l1_freq(*rest)
    assert found["fullness"]["bass"] == bleedless_and_fullness(stems["bass"], estimates["bass"], RATE)[1]
    assert found["log_wmse"]["drums"] == LogWMSE(mixture, RATE).score(stems["drums"], estimates["drums"])
    assert score_extra(stems, estimates, mixture, RATE, ("mrstft",)) == {"mrstft": found["mrstft"]}
    assert score_extra(stems, estimates, mixture, RATE, ()) == {}


def test_the_registry_names_unit_and_direction():
    assert METRICS["mrstft"].heading == "Multi-resolution STFT distance, lower is better"
    assert METRICS["silence"].heading == "Energy at silence (dB), lower is better"
    assert METRICS["sdr"].definition.endswith("Challenges; mean over tracks")
    assert parse_metrics("all") == EXTRA and parse_metrics("none") == () and parse_metrics("sdr") == ()
    assert parse_metrics("fullness, log_wmse") == ("log_wmse", "fullness")
    for wrong in ("pesq", "", "all,sdr"):
        with pytest.raises(ValueError, match="--metrics: expected all, none, or some of sdr, csdr"):
            parse_metrics(wrong)
