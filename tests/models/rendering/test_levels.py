"""Levels: one gain for all stems, no clipping, one length, quiet stems lifted."""

import numpy as np
import pytest

from models.rendering.levels import INAUDIBLE_DB, LIFT_DB, PEAK, TARGET_DB, balance, level_db, remove_offset

RATE = 44100


def noise(seed, gain_db, seconds=2.0):
    audio = np.random.default_rng(seed).standard_normal((2, round(seconds * RATE)))
    return (0.1 * 10 ** (gain_db / 20) * audio).astype(np.float32)


def test_level_is_that_of_what_sounds():
    audio = noise(0, 0)
    assert level_db(audio) == pytest.approx(-20, abs=0.1)
    assert level_db(np.pad(audio, ((0, 0), (0, 9 * RATE)))) == pytest.approx(-20, abs=0.1)
    assert level_db(np.zeros((2, 100))) == -np.inf


def test_an_offset_goes_and_the_lowest_note_of_a_bass_stays():
    time_s = np.arange(4 * RATE) / RATE
    bass = np.tile(0.1 * np.sin(2 * np.pi * 41.2 * time_s), (2, 1)).astype(np.float32)
    filtered = remove_offset(bass + np.float32(0.1), RATE)
    assert filtered.dtype == np.float32
    assert abs(filtered[:, RATE:].mean()) < 1e-3
    assert level_db(filtered[:, RATE:]) == pytest.approx(level_db(bass[:, RATE:]), abs=0.5)


@pytest.mark.parametrize("gain_db", [-60, -10, 0, 30])
def test_the_sum_reaches_the_target_at_any_input_level(gain_db):
    stems = balance({"drums": noise(0, gain_db), "other": noise(1, gain_db - 6)})
    assert level_db(sum(stems.values())) == pytest.approx(TARGET_DB, abs=0.1)
    assert level_db(stems["drums"]) - level_db(stems["other"]) == pytest.approx(6, abs=0.1)


def test_nothing_clips():
    clicks = noise(0, -20)
    clicks[:, ::22050] = 1
    stems = balance({"drums": clicks, "other": -0.9 * clicks + noise(1, -20)})
    peaks = [float(np.abs(audio).max()) for audio in (sum(stems.values()), *stems.values())]
    assert max(peaks) == pytest.approx(PEAK, abs=1e-4)


def test_stems_get_one_length_and_silence_around_the_music_goes():
    silence = RATE
    drums = np.pad(noise(0, 0, 1.0), ((0, 0), (silence, 0)))
    other = np.pad(noise(1, 0, 1.5), ((0, 0), (silence, 3 * silence)))
    stems = balance({"drums": drums, "other": other})
    assert stems["drums"].shape == stems["other"].shape == (2, round(1.5 * RATE))
    assert stems["drums"][:, :RATE].any() and not stems["drums"][:, RATE:].any()


def test_quiet_stems_are_lifted_and_inaudible_ones_silenced():
    stems = balance({"drums": noise(0, 0), "bass": noise(1, LIFT_DB - 15), "other": noise(2, INAUDIBLE_DB - 5)})
    assert level_db(stems["bass"]) - level_db(stems["drums"]) == pytest.approx(LIFT_DB, abs=0.1)
    assert not stems["other"].any()


def test_a_stem_above_the_limit_is_left_alone():
    stems = balance({"drums": noise(0, 0), "bass": noise(1, LIFT_DB + 2)})
    assert level_db(stems["bass"]) - level_db(stems["drums"]) == pytest.approx(LIFT_DB + 2, abs=0.1)


@pytest.mark.parametrize("stems", [{}, {"drums": np.zeros((2, 0), np.float32)}, {"drums": noise(0, -100)}])
def test_silence_is_refused(stems):
    with pytest.raises(ValueError, match="got silence in all stems"):
        balance(stems)
