"""The melody is the track of that name, one note at a time, with times in seconds."""

import numpy as np
import pytest
from mido import Message, MetaMessage, MidiFile, MidiTrack
from voice_banks import write_melody

from models.singing.melody import Note, draw_part, read_melody, transpose


@pytest.mark.parametrize("name", ["MELODY", "Lead Vocals", "voice 1"])
def test_notes_of_the_track_of_that_name(tmp_path, name):
    path = write_melody(tmp_path / "song.mid", [60, 62, 64], name=name, beat_s=0.25)
    assert read_melody(path.read_bytes()) == [Note(0, 0.25, 60), Note(0.25, 0.25, 62), Note(0.5, 0.25, 64)]


def test_a_note_ends_where_the_next_begins(tmp_path):
    melody = MidiTrack([MetaMessage("track_name", name="Melody")])
    for kind, note, velocity, ticks in (
        ("note_on", 60, 90, 0),
        ("note_on", 64, 90, 480),
        ("note_on", 67, 90, 0),  # of two that begin together, the last
        ("note_on", 60, 0, 480),
        ("note_off", 64, 0, 0),
        ("note_off", 67, 0, 480),
        ("note_off", 70, 0, 0),  # it never began
    ):
        melody.append(Message(kind, note=note, velocity=velocity, time=ticks))
    MidiFile(tracks=[melody], ticks_per_beat=480).save(tmp_path / "song.mid")
    assert read_melody((tmp_path / "song.mid").read_bytes()) == [Note(0, 0.5, 60), Note(0.5, 1.0, 67)]


def test_songs_without_a_melody_are_refused(tmp_path):
    path = write_melody(tmp_path / "song.mid", [60], name="GUITAR")
    with pytest.raises(ValueError, match="no track is named melody"):
        read_melody(path.read_bytes())
    for content in (b"", b"RIFF", path.read_bytes()[:60]):
        with pytest.raises(ValueError, match="not a usable MIDI file|no track is named melody"):
            read_melody(content)


def test_a_part_begins_at_zero_and_has_enough_notes():
    notes = [Note(float(second), 1.0, 60 + second % 12) for second in range(100)]
    starts = set()
    for seed in range(5):
        part = draw_part(notes, 30, np.random.default_rng(seed))
        assert len(part) == 30 and 0 <= part[0].start_s < 1 and part[-1].start_s < 30
        starts.add(part[0].pitch)
    assert len(starts) > 1
    with pytest.raises(ValueError, match="5 notes in 5 s of its melody, fewer than 20"):
        draw_part(notes, 5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="0 notes in 30 s"):
        draw_part([], 30, np.random.default_rng(0))


def test_transpose():
    assert transpose([Note(1, 2, 60)], -12) == [Note(1, 2, 48)]
