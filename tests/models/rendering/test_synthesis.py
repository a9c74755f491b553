"""fluidsynth: its audio is in tune, linear and repeatable; its failures are errors of one line."""

from pathlib import Path

import numpy as np
import pytest
from mido import Message

from models.rendering.midi import TAIL_S, split_song, write_midi
from models.rendering.soundfont import open_soundfont
from models.rendering.synthesis import PROGRAM, SAMPLE_RATE, Synthesizer
from models.rendering.variation import Variation

SOUNDFONT = open_soundfont(Path("/usr/share/sounds/sf2/TimGM6mb.sf2"))
PROGRAMS = [33, 19, *[0] * 14]  # a bass, an organ, pianos
END_S = 1.0


def render(tmp_path, transpose=0, channels=(0, 1, 9), note=45):
    """Each stem of a second of some channels, and the same channels in one file, as "whole"."""
    variation = Variation(1.0, transpose, (tuple(range(128)),) * 16)
    score = [(0.0, Message("program_change", channel=channel, program=PROGRAMS[channel])) for channel in channels]
    for kind, time_s in (("note_on", 0.0), ("note_off", END_S)):
        score += [(time_s, Message(kind, channel=channel, note=note)) for channel in channels]
    song = split_song(score, variation)
    parts = {**song.messages, "whole": score}
    rendered = {}
    for name, messages in parts.items():
        write_midi(messages, END_S, tmp_path / "part.mid")
        rendered[name] = Synthesizer().render(tmp_path / "part.mid", END_S, SOUNDFONT)
    return rendered


def fundamental_hz(audio):
    """The strongest frequency between its neighbours, by a parabola."""
    spectrum = np.log(np.abs(np.fft.rfft(audio[0, : round(END_S * SAMPLE_RATE)], 2**18)) + 1e-9)
    k = int(spectrum[:20000].argmax())
    left, middle, right = spectrum[k - 1 : k + 2]
    return (k + 0.5 * (left - right) / (left - 2 * middle + right)) * SAMPLE_RATE / 2**18


def test_stems_add_up_to_the_whole_song(tmp_path):
    rendered = render(tmp_path)
    whole = rendered.pop("whole")
    assert set(rendered) == {"drums", "bass", "other"}
    assert all(audio.shape == whole.shape and audio.dtype == np.float32 for audio in rendered.values())
    assert np.abs(whole).max() > 0.01
    assert np.abs(sum(rendered.values()) - whole).max() < 1e-4 * np.abs(whole).max()


def test_rendering_again_gives_the_same_and_includes_the_tail(tmp_path):
    first, second = (render(tmp_path, channels=(1,))["other"] for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape[-1] >= (END_S + TAIL_S) * SAMPLE_RATE
    assert np.abs(first[:, -4410:]).max() < 1e-4 * np.abs(first).max()


@pytest.mark.parametrize("semitones", [-4, 3])
def test_transposition_shifts_the_pitch_but_not_the_drums(tmp_path, semitones):
    written, shifted = (render(tmp_path, transpose, note=57) for transpose in (0, semitones))
    ratio = fundamental_hz(shifted["other"]) / fundamental_hz(written["other"])
    assert 12 * np.log2(ratio) == pytest.approx(semitones, abs=0.1)
    assert np.array_equal(written["drums"], shifted["drums"])


def test_no_fluidsynth(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="fluidsynth not found"):
        Synthesizer()


@pytest.mark.parametrize("script", ["echo 'out of luck' >&2; exit 3", "head -c 1000 /dev/zero"])
def test_failures_are_one_line(tmp_path, monkeypatch, script):
    program = tmp_path / PROGRAM
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(ValueError, match=r"^fluidsynth failed: exit code \d, 0.0 of 1.0 s( out of luck)?$"):
        Synthesizer().render(tmp_path / "any.mid", END_S, SOUNDFONT)


def test_after_stop_nothing_is_rendered(tmp_path):
    synthesizer = Synthesizer()
    synthesizer.stop()
    with pytest.raises(InterruptedError):
        synthesizer.render(tmp_path / "any.mid", END_S, SOUNDFONT)
