"""Bleeding: at the level that was asked for, out of the song's other stems, filtered and delayed."""

import numpy as np
import pytest

from models.corruption.bleeding import HIGH_PASS_HZ, LOW_PASS_HZ, Leak, bleed, draw_leaks

STEMS = ("vocals", "drums", "bass", "other")
RATE = 44100


def noise(seed: int, gain: float = 0.1) -> np.ndarray:
    return (gain * np.random.default_rng(seed).standard_normal((2, 20000))).astype(np.float32)


def energy(audio: np.ndarray) -> float:
    return float(np.sum(audio.astype(np.float64) ** 2))


@pytest.mark.parametrize("level_db", [-20.0, -10.0, 0.0])
def test_what_bleeds_has_the_level_that_was_asked_for(level_db):
    audio = {"vocals": noise(1), "drums": noise(2, 0.5), "bass": noise(3, 0.01)}
    leaks = (Leak("drums", "lowpass", 2000.0, 0.01), Leak("bass", "highpass", 200.0, 0.0))
    leaked = bleed(audio, "vocals", leaks, level_db, RATE) - audio["vocals"]
    assert 10 * np.log10(energy(leaked) / energy(audio["vocals"])) == pytest.approx(level_db, abs=0.01)
    # Both leaks arrive with equal energy, whatever their stems' levels are.
    for leak in leaks:
        part = leak.through(audio[leak.stem], RATE)
        assert np.sum(part * leaked) / np.sqrt(energy(part) * energy(leaked)) == pytest.approx(0.5**0.5, abs=0.05)


def test_a_leak_is_filtered_and_comes_late():
    impulse = np.zeros((2, 20000), dtype=np.float32)
    impulse[:, 0] = 1.0
    arrived = Leak("drums", "lowpass", 1000.0, 0.01).through(impulse, RATE)
    assert not arrived[:, :441].any() and arrived[:, 441].all()
    spectrum = np.abs(np.fft.rfft(arrived[0]))
    bin_hz = RATE / 20000
    assert spectrum[round(100 / bin_hz)] == pytest.approx(1.0, abs=0.01)
    assert spectrum[round(1000 / bin_hz)] == pytest.approx(0.5**0.5, abs=0.01)
    assert spectrum[round(10000 / bin_hz)] < 0.01


def test_a_filter_fits_any_sample_rate_and_a_delay_any_length():
    assert np.isfinite(Leak("drums", "lowpass", 8000.0, 0.0).through(noise(1), 8000)).all()
    assert not Leak("drums", "lowpass", 500.0, 0.02).through(noise(1)[:, :10], RATE).any()


def test_a_silent_stem_hears_the_others_at_the_same_distance():
    audio = {"vocals": np.zeros((2, 20000), dtype=np.float32), "drums": noise(2)}
    dirty = bleed(audio, "vocals", (Leak("drums", "highpass", 100.0, 0.0),), -10.0, RATE)
    assert 10 * np.log10(energy(dirty) / energy(audio["drums"])) == pytest.approx(-10, abs=0.01)
    silent = dict.fromkeys(("vocals", "drums"), audio["vocals"])
    assert bleed(silent, "vocals", (Leak("drums", "highpass", 100.0, 0.0),), -10.0, RATE) is silent["vocals"]


def test_draws_stay_in_their_ranges_and_at_the_share():
    bleeding = []
    for seed in range(500):
        leaks = draw_leaks(np.random.default_rng(seed), STEMS, STEMS, 0.4)
        bleeding += [bool(drawn) for drawn in leaks.values()]
        for stem, drawn in leaks.items():
            for leak in drawn:
                low, high = LOW_PASS_HZ if leak.filter == "lowpass" else HIGH_PASS_HZ
                assert leak.stem != stem and low <= leak.cutoff_hz <= high and 0 <= leak.delay_s <= 0.02
    assert np.mean(bleeding) == pytest.approx(0.4, abs=0.03)


def test_share_0_and_1_and_silent_stems():
    generator = np.random.default_rng(0)
    assert not any(draw_leaks(generator, STEMS, STEMS, 0.0).values())
    assert all(draw_leaks(generator, STEMS, STEMS, 1.0).values())
    leaks = draw_leaks(generator, STEMS, ("drums",), 1.0)  # nothing but drums can be heard in the others
    assert not leaks["drums"] and all(leak.stem == "drums" for drawn in leaks.values() for leak in drawn)
