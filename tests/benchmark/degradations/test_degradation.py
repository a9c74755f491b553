"""benchmark.degradations: each does what its name says, at its level, without a shift in time."""

import math
import subprocess

import numpy as np
import pytest

from benchmark.degradations.codec import coded, delay, shifted
from benchmark.degradations.degradation import EXAMPLES, Degradation, gain_between, parse_degradations
from benchmark.degradations.loudness import CEILING, limited, loudness_lufs
from conftest import SAMPLE_RATE


def degraded(name, audio, rate=SAMPLE_RATE):
    (degradation,) = parse_degradations(name)
    return degradation.apply(audio, rate, "a title")


def ratio_db(audio, other):
    return 10 * np.log10(np.square(audio, dtype=float).sum() / np.square(other - audio, dtype=float).sum())


def test_names_are_read_and_written():
    assert [degradation.name for degradation in parse_degradations(",".join(EXAMPLES))] == list(EXAMPLES)
    assert parse_degradations(" clip:-3.50 , mono")[0] == Degradation("clip", -3.5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mp2:128k", "expected some of mp3, aac, clip, loud, level, mono, rate, noise, got 'mp2:128k' (nearest: mp3)"),
        ("", "expected some of mp3"),
        ("mp3:128", "expected mp3 like mp3:128k, got 'mp3:128'"),
        ("loud:-8", "expected loud like loud:-8LUFS, got 'loud:-8'"),
        ("noise:-5.0.1", "expected noise like noise:-50"),
        ("mono:1", "expected mono like mono, got 'mono:1'"),
        ("clip:3", "expected clip from -60 to 0 as in clip:-3, got 'clip:3'"),
        ("rate:10", "expected rate from 2000 to 192000"),
        ("mono,mono", "expected different names, got 'mono' twice"),
    ],
)
def test_wrong_names_are_refused(name, message):
    with pytest.raises(ValueError, match="--degrade") as caught:
        parse_degradations(name)
    assert message in str(caught.value)


def test_a_codec_needs_ffmpeg(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ValueError, match="--degrade mp3:128k: needs ffmpeg, which is not installed"):
        parse_degradations("mono,mp3:128k")


@pytest.mark.parametrize("name", EXAMPLES)
def test_shape_type_and_place_in_time_stay(mixture, name):
    for audio in (mixture[:, :100_001], mixture[:1, :30_000]):
        changed = degraded(name, audio)
        assert changed.shape == audio.shape and changed.dtype == np.float32 and np.isfinite(changed).all()
        assert delay(audio, changed, audio.shape[-1]) == 0
        assert name == "mono" or not np.array_equal(changed, audio)
    np.testing.assert_allclose(degraded(name, np.zeros((2, 50_000), np.float32)), 0, atol=1e-6)


@pytest.mark.parametrize(("low", "high"), [("mp3:64k", "mp3:256k"), ("aac:48k", "aac:192k")])
def test_a_codec_keeps_more_at_more_bits(mixture, low, high):
    errors = [ratio_db(mixture, degraded(name, mixture)) for name in (low, high)]
    assert 5 < errors[0] < errors[1] - 3


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_a_codec_takes_other_rates(mixture, rate):
    assert ratio_db(mixture, coded(mixture, rate, "mp3", 64 if rate == 8000 else 256)) > 10


def test_a_codec_that_fails_is_one_line():
    with pytest.raises(ValueError, match="^ffmpeg: [^\n]+$"):
        coded(np.zeros((20, 5000), np.float32), SAMPLE_RATE, "mp3", 128)


@pytest.mark.parametrize("lag", [-700, -1, 0, 1, 1105, 5000])
def test_a_delay_is_found_and_taken_away(mixture, lag):
    late = shifted(mixture, -lag, mixture.shape[-1])
    assert delay(mixture, late, mixture.shape[-1]) == lag
    back = shifted(late, lag, mixture.shape[-1])
    inner = slice(6000, -6000)
    np.testing.assert_array_equal(back[:, inner], mixture[:, inner])


def test_a_clipped_mixture_has_its_ceiling(mixture):
    peak = np.abs(mixture).max()
    changed = degraded("clip:-6", mixture)
    assert np.abs(changed).max() == pytest.approx(peak * 10 ** (-6 / 20), rel=1e-6)
    quiet = np.abs(mixture) < peak / 2.1
    np.testing.assert_array_equal(changed[quiet], mixture[quiet])


def test_noise_has_its_level_and_is_the_same_each_time(mixture):
    changed = degraded("noise:-20", mixture)
    assert ratio_db(mixture, changed) == pytest.approx(20, abs=0.1)
    np.testing.assert_array_equal(changed, degraded("noise:-20", mixture))
    assert not np.array_equal(changed, Degradation("noise", -20.0).apply(mixture, SAMPLE_RATE, "another title"))


def test_mono_level_and_rate(mixture):
    mono = degraded("mono", mixture)
    np.testing.assert_allclose(mono, np.stack([mixture.mean(axis=0)] * 2), atol=1e-7)
    np.testing.assert_allclose(degraded("level:-20", mixture), mixture / 10, atol=1e-7)
    noise = np.random.default_rng(0).standard_normal((2, 88_200)).astype(np.float32)
    spectrum = np.square(np.abs(np.fft.rfft(degraded("rate:22050", noise)[0])))
    before = np.square(np.abs(np.fft.rfft(noise[0])))
    hz = np.fft.rfftfreq(88_200, 1 / SAMPLE_RATE)
    above, below = hz > 11_100, hz < 9_500
    assert spectrum[above].sum() < 1e-5 * before[above].sum()
    assert spectrum[below].sum() == pytest.approx(before[below].sum(), rel=0.01)


def test_a_loud_mixture_has_its_loudness_below_the_ceiling(mixture):
    changed = degraded("loud:-12LUFS", mixture)
    assert loudness_lufs(changed, SAMPLE_RATE) == pytest.approx(-12, abs=0.1)
    assert np.abs(changed).max() <= CEILING + 1e-6
    assert gain_between(mixture, changed) > 1.1


def test_the_limiter_leaves_quiet_music_alone(mixture):
    np.testing.assert_allclose(limited(mixture / 10, SAMPLE_RATE), mixture / 10, atol=1e-7)
    loud = limited(20 * mixture, SAMPLE_RATE)
    assert np.abs(loud).max() <= CEILING + 1e-6 and np.abs(20 * mixture).max() > 2


def test_loudness_is_the_standards():
    time = np.arange(5 * 48_000) / 48_000
    tone = np.sin(2 * np.pi * 997 * time)[None]
    assert loudness_lufs(tone, 48_000) == pytest.approx(-3.01, abs=0.02)  # BS.1770-4: full scale in one channel
    assert loudness_lufs(np.concatenate((tone, tone)) / 10, 48_000) == pytest.approx(-20, abs=0.02)
    half = np.concatenate((tone, np.zeros_like(tone)), axis=1)
    assert loudness_lufs(half, 48_000) == pytest.approx(-3.01, abs=0.2)  # the gate leaves silence out
    assert loudness_lufs(np.zeros((2, 48_000)), 48_000) == -math.inf


def test_loudness_is_ffmpegs(mixture):
    command = ["ffmpeg", "-f", "f32le", "-ar", str(SAMPLE_RATE), "-ac", "2", "-i", "pipe:0"]
    data = np.tile(mixture, 3).T.astype("<f4").tobytes()
    done = subprocess.run([*command, "-af", "ebur128", "-f", "null", "-"], input=data, capture_output=True)
    summary = done.stderr.decode().rsplit("Integrated loudness:", 1)[1]
    measured = float(summary.split("I:")[1].split("LUFS")[0])
    assert loudness_lufs(np.tile(mixture, 3), SAMPLE_RATE) == pytest.approx(measured, abs=0.1)
