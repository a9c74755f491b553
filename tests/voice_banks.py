"""Small voice banks and melodies whose truth is known."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile
from mido import Message, MetaMessage, MidiFile, MidiTrack

RATE = 44100
SPOKEN_HZ = 220.0
OTO_LINE = "_ka{index}.wav=- か,100,150,-1000,80,40"


def write_voice_bank(folder: Path, recordings: int = 2, rate: int = RATE, hz: float = SPOKEN_HZ) -> Path:
    """Recordings of 1.2 s: silence, noise from 0.1 s on, from 0.18 s on a vowel of many partials."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    times_s = np.arange(int(1.2 * rate)) / rate
    partials = range(1, int(min(5000, rate / 2.2) // hz))
    vowel = sum(np.sin(2 * np.pi * hz * k * times_s + k) / k for k in partials) * (times_s >= 0.18)
    noise = 0.1 * generator.standard_normal(times_s.size) * ((times_s >= 0.1) & (times_s < 0.18))
    for index in range(recordings):
        soundfile.write(folder / f"_ka{index}.wav", 0.2 * (vowel + noise), rate)
    lines = [OTO_LINE.format(index=index) for index in range(recordings)]
    (folder / "oto.ini").write_bytes("\r\n".join(lines).encode("cp932"))
    return folder


def write_melody(path: Path, pitches: Iterable[int], name: str = "MELODY", beat_s: float = 0.5) -> Path:
    """A song in which one track has the melody, a note on each beat, and another a bass note throughout."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = MidiFile(ticks_per_beat=480)
    file.tracks.append(MidiTrack([MetaMessage("set_tempo", tempo=round(beat_s * 1e6))]))
    melody = MidiTrack([MetaMessage("track_name", name=name)])
    for pitch in pitches:
        melody.append(Message("note_on", note=pitch, velocity=90))
        melody.append(Message("note_off", note=pitch, time=480))
    bass = [Message("note_on", note=30, velocity=90, channel=1), Message("note_off", note=30, channel=1, time=4800)]
    file.tracks += [MidiTrack([MetaMessage("track_name", name="PIANO"), *bass]), melody]
    file.save(path)
    return path
