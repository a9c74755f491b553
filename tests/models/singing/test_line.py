"""A sung line has the melody's pitches at the melody's times, in the voice of the recordings."""

import numpy as np
import pytest
import soundfile
from voice_banks import RATE, SPOKEN_HZ, write_voice_bank

from models.singing.line import sing
from models.singing.melody import Note
from models.singing.studio import arrange, produce
from models.singing.voice import SAMPLE_RATE, analyse
from models.singing.voice_bank import find_voice_banks

MELODY = [Note(0.2, 0.6, 57), Note(0.8, 0.6, 64), Note(1.8, 1.0, 60)]


def voice_of(folder, recordings=2, seed=0):
    (bank,) = find_voice_banks(folder)
    return analyse(bank, recordings, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    return voice_of(write_voice_bank(tmp_path_factory.mktemp("voices") / "bank"))


def pitch_at(audio, time_s):
    """The fundamental frequency at a time, as a MIDI note: the highest peak of the autocorrelation of 80 ms."""
    start = int((time_s - 0.04) * SAMPLE_RATE)
    part = audio[start : start + int(0.08 * SAMPLE_RATE)] * np.hanning(int(0.08 * SAMPLE_RATE))
    correlation = np.correlate(part, part, "full")[part.size - 1 :]
    lags = np.arange(SAMPLE_RATE // 900, SAMPLE_RATE // 80)
    return 69 + 12 * np.log2(SAMPLE_RATE / lags[np.argmax(correlation[lags])] / 440)


def level(audio, start_s, end_s):
    return float(np.sqrt(np.mean(audio[int(start_s * SAMPLE_RATE) : int(end_s * SAMPLE_RATE)] ** 2)))


def test_syllables_and_pitch_of_the_recordings(voice):
    assert len(voice.syllables) == 2
    assert voice.pitch == pytest.approx(69 + 12 * np.log2(SPOKEN_HZ / 440), abs=0.05)
    for syllable in voice.syllables:
        frames, bins = syllable.spectrum.shape
        assert syllable.lead_s == pytest.approx(0.07) and 0.98 / 0.005 <= frames <= 1.0 / 0.005
        assert syllable.aperiodicity.shape == (frames, bins) and syllable.voiced[syllable.fixed :].all()


def test_the_line_follows_the_melody(voice):
    line = sing(MELODY, voice, 3.2, 1.0, np.random.default_rng(0))
    assert line.size == pytest.approx(3.2 * SAMPLE_RATE, abs=SAMPLE_RATE // 100)
    for time_s, pitch in ((0.6, 57), (1.2, 64), (2.2, 60)):
        assert pitch_at(line, time_s) == pytest.approx(pitch, abs=0.8)
    sung = level(line, 0.3, 0.7)
    assert level(line, 0, 0.1) < 0.01 * sung and level(line, 1.55, 1.7) < 0.03 * sung
    assert level(line, 2.95, 3.2) < 0.03 * sung


def test_formants_move_the_envelope_not_the_pitch(voice):
    low, high = (sing(MELODY[:1], voice, 1.0, formant, np.random.default_rng(0)) for formant in (0.9, 1.12))
    assert pitch_at(low, 0.6) == pytest.approx(pitch_at(high, 0.6), abs=0.1)
    assert np.abs(low - high).max() > 0.05 * np.abs(low).max()


def test_draws_decide(voice):
    lines = [sing(MELODY, voice, 3.2, 1.0, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(lines[0], lines[1])
    assert np.abs(lines[0] - lines[2]).max() > 0.01


def test_notes_outside_of_the_line_and_very_short_ones_are_left_out(voice):
    notes = [Note(0.0, 0.02, 60), Note(0.05, 0.02, 62), Note(5.0, 1.0, 60)]
    line = sing(notes[:1] + notes[2:], voice, 1.0, 1.0, np.random.default_rng(0))
    assert level(line, 0.1, 1.0) < 1e-3
    line = sing(notes, voice, 1.0, 1.0, np.random.default_rng(0))
    assert level(line, 0.0, 0.1) > 1e-2 > level(line, 0.2, 1.0)


@pytest.mark.parametrize("rate", [22050, 48000])
def test_recordings_of_any_rate_and_channels(tmp_path, rate):
    folder = write_voice_bank(tmp_path / "bank", recordings=1, rate=rate)
    samples, _ = soundfile.read(folder / "_ka0.wav")
    soundfile.write(folder / "_ka0.wav", np.stack([samples, samples], axis=1), rate)
    assert voice_of(folder).pitch == pytest.approx(69 + 12 * np.log2(SPOKEN_HZ / 440), abs=0.05)


def test_recordings_without_a_vowel_are_refused(tmp_path):
    folder = write_voice_bank(tmp_path / "bank", recordings=1)
    for samples in (np.zeros(RATE), 0.1 * np.random.default_rng(0).standard_normal(RATE), np.zeros(1)):
        soundfile.write(folder / "_ka0.wav", samples, RATE)
        with pytest.raises(ValueError, match="none of 1 recordings has a usable syllable"):
            voice_of(folder)


def test_a_studio_adds_second_voices_tone_and_a_room():
    def steady(semitones, size):
        return np.sin(2 * np.pi * 220 * 2 ** (semitones / 12) * size * np.arange(SAMPLE_RATE) / SAMPLE_RATE)

    sides = []
    for seed in range(20):
        stereo = arrange(steady, np.random.default_rng(seed))
        assert stereo.shape == (2, SAMPLE_RATE)
        sides.append(np.abs(stereo[0] - stereo[1]).max() > 1e-6)
    assert 3 <= sum(sides) <= 15
    dry = np.pad(np.stack([steady(0, 1.0)] * 2), ((0, 0), (0, SAMPLE_RATE)))
    wet = produce(dry, np.random.default_rng(0))
    assert wet.dtype == np.float32 and wet.shape == dry.shape and np.abs(wet).max() == pytest.approx(0.7)
    assert np.abs(wet[:, int(1.05 * SAMPLE_RATE) :]).max() > 1e-3 and np.abs(wet[0] - wet[1]).max() > 1e-3
    with pytest.raises(ValueError, match="expected a sung line, got silence"):
        produce(np.zeros((2, SAMPLE_RATE)), np.random.default_rng(0))
