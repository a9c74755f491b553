"""Augmentations of one source: speed changes pitch and tempo together, without aliases."""

import numpy as np
import pytest

from models.training.data.augmentation import SPEED_STEPS, change_speed, draw_speed, speed_margin, speed_span

RATE = 44100
SPEEDS = [32, 54, 63, 65, 76, 128]


def play(recording, num_samples, speed):
    """``recording(n)`` at sample n, played at a speed."""
    margin = speed_margin(speed)
    times = np.arange(-margin, speed_span(num_samples, speed) + margin)
    return change_speed(recording(times)[None].astype(np.float32), num_samples, speed)[0]


def tone(frequency_hz, times):
    return np.sin(2 * np.pi * frequency_hz / RATE * times + 0.3)


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("num_samples", [1, 64, 1000, 4411])
def test_the_result_has_the_length_asked_for(speed, num_samples):
    assert play(lambda times: tone(440, times), num_samples, speed).shape == (num_samples,)


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("share", [0.002, 0.1, 0.5, 0.85])
def test_a_tone_becomes_the_tone_of_the_other_pitch_and_nothing_else(speed, share):
    frequency_hz = share * RATE / 2 * min(1, SPEED_STEPS / speed)
    got = play(lambda times: tone(frequency_hz, times), 8000, speed)
    expected = tone(frequency_hz, np.arange(8000) * speed / SPEED_STEPS)
    assert 20 * np.log10(np.abs(got - expected).max()) < -60


@pytest.mark.parametrize("speed", [65, 76, 128])
@pytest.mark.parametrize("played_hz", [23000, 24000, 30000])
def test_what_would_alias_is_silence(speed, played_hz):
    frequency_hz = played_hz * SPEED_STEPS / speed
    if frequency_hz < RATE / 2:
        assert 20 * np.log10(np.abs(play(lambda times: tone(frequency_hz, times), 8000, speed)).max()) < -60


@pytest.mark.parametrize("speed", SPEEDS)
def test_tempo_changes_with_pitch(speed):
    got = play(lambda times: np.exp(-(((times - 3000) / 20) ** 2)), 8000, speed)
    assert abs(np.argmax(got) - 3000 * SPEED_STEPS / speed) <= 1


def test_a_constant_stays_and_speed_one_is_the_recording_itself():
    assert np.abs(play(lambda times: np.full(len(times), 0.5), 1000, 70) - 0.5).max() < 1e-6
    recording = np.random.default_rng(0).standard_normal(1000)
    assert np.array_equal(play(lambda times: recording, 1000, SPEED_STEPS), recording.astype(np.float32))


def test_speeds_are_uniform_in_semitones():
    generator = np.random.default_rng(0)
    speeds = np.array([draw_speed(generator, 3.0) for _ in range(2000)])
    semitones = 12 * np.log2(speeds / SPEED_STEPS)
    assert -3.15 < semitones.min() < -2.8 and 2.8 < semitones.max() < 3.15
    assert np.abs(np.quantile(semitones, [0.25, 0.5, 0.75]) - [-1.5, 0, 1.5]).max() < 0.3
    assert {draw_speed(generator, 0.0) for _ in range(10)} == {SPEED_STEPS}
