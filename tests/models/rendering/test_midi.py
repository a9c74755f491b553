"""Songs are split into one list of messages for each stem: a note's program selects its stem, in which it also ends."""

import io
from dataclasses import replace

import mido
import pytest
from mido import Message, MetaMessage, MidiFile, MidiTrack

from models.rendering import midi
from models.rendering.midi import read_messages, split_song, write_midi
from models.rendering.variation import Variation

AS_WRITTEN = Variation(1.0, 0, (tuple(range(128)),) * 16)


def on(channel, note=60):
    return Message("note_on", channel=channel, note=note, velocity=90)


def off(channel, note=60):
    return Message("note_off", channel=channel, note=note)


def program(channel, number):
    return Message("program_change", channel=channel, program=number)


def each_second(*messages):
    return [(float(second), message) for second, message in enumerate(messages)]


def notes(part):
    """Time, kind and note of a stem's note messages."""
    return [(time_s, message.type, message.note) for time_s, message in part if message.type.startswith("note")]


def content(*tracks, kind=1, **arguments):
    file = MidiFile(type=kind, tracks=[MidiTrack(track) for track in tracks], **arguments)
    stream = io.BytesIO()
    file.save(file=stream)
    return stream.getvalue()


def test_stems_by_channel_and_program():
    song = split_song(each_second(program(1, 33), on(9), on(1), on(0), off(9), off(1), off(0)), AS_WRITTEN)
    assert {stem: notes(part) for stem, part in song.messages.items()} == {
        "drums": [(1, "note_on", 60), (4, "note_off", 60)],
        "bass": [(2, "note_on", 60), (5, "note_off", 60)],
        "other": [(3, "note_on", 60), (6, "note_off", 60)],
    }
    assert song.end_s == 6 and song.programs == ((0, 0, 0), (1, 33, 33), (9, 0, 0))


@pytest.mark.parametrize(("number", "stem"), [(31, "other"), (32, "bass"), (39, "bass"), (40, "other")])
def test_the_bass_family(number, stem):
    assert list(split_song(each_second(program(0, number), on(0), off(0)), AS_WRITTEN).messages) == [stem]


def test_a_program_change_sends_later_notes_to_another_stem_and_held_ones_end_where_they_began():
    song = split_song(each_second(on(0, 50), program(0, 38), on(0, 60), off(0, 50), off(0, 60)), AS_WRITTEN)
    assert notes(song.messages["other"]) == [(0, "note_on", 50), (3, "note_off", 50)]
    assert notes(song.messages["bass"]) == [(2, "note_on", 60), (4, "note_off", 60)]


def test_a_key_held_in_two_stems_ends_in_both():
    song = split_song(each_second(on(0), program(0, 38), on(0), off(0)), AS_WRITTEN)
    assert notes(song.messages["other"]) == [(0, "note_on", 60), (3, "note_off", 60)]
    assert notes(song.messages["bass"]) == [(2, "note_on", 60), (3, "note_off", 60)]


def test_velocity_zero_ends_a_note_and_stray_ends_are_dropped():
    quiet = Message("note_on", channel=0, note=60, velocity=0)
    song = split_song(each_second(off(0), quiet, on(0), quiet, off(0)), AS_WRITTEN)
    assert notes(song.messages["other"]) == [(2, "note_on", 60), (3, "note_on", 60)]
    assert song.end_s == 3


def test_everything_but_notes_reaches_every_stem_in_its_order():
    others = [
        Message("control_change", channel=0, control=0, value=8),
        program(0, 5),
        Message("sysex", data=(0x7F, 0x7F, 4, 1, 0, 100)),
        Message("pitchwheel", channel=0, pitch=500),
        Message("aftertouch", channel=0, value=9),
        Message("polytouch", channel=0, note=60, value=9),
    ]
    song = split_song(each_second(*others, on(9), off(9), program(1, 33), on(1), on(0), off(0), off(1)), AS_WRITTEN)
    for part in song.messages.values():
        assert [message for _, message in part if message in others] == [*others[:5], others[5], others[1]]


def test_a_channel_without_program_is_told_its_varied_one():
    variation = replace(AS_WRITTEN, programs=((4, *range(1, 128)),) * 16)
    part = split_song(each_second(on(2), off(2)), variation).messages["other"]
    assert part[0] == (0, program(2, 4))


def test_a_program_outlives_a_reset():
    reset = Message("sysex", data=(0x7E, 0x7F, 9, 1))
    part = split_song(each_second(program(0, 33), reset, on(0), off(0)), AS_WRITTEN).messages["bass"]
    assert [message for _, message in part[:4]] == [program(0, 33), reset, program(0, 33), on(0)]


def test_transposition_and_tempo():
    variation = replace(AS_WRITTEN, tempo_factor=0.5, transpose_semitones=-3)
    song = split_song(each_second(on(0), on(9), off(0), off(9)), variation)
    assert notes(song.messages["other"]) == [(0, "note_on", 57), (4, "note_off", 57)]
    assert notes(song.messages["drums"]) == [(2, "note_on", 60), (6, "note_off", 60)]


def test_hours_are_cut_and_nothing_hangs(monkeypatch):
    monkeypatch.setattr(midi, "MAX_DURATION_S", 10.0)
    song = split_song([(0.0, on(0)), (9.0, on(9)), (9.5, off(9)), (7200.0, off(0)), (7201.0, on(9))], AS_WRITTEN)
    assert song.end_s == 9.5
    for part in song.messages.values():
        assert max(time_s for time_s, _ in part) == 9.5
        assert {message.control for time_s, message in part if message.type == "control_change"} == {64, 66, 123}


def test_no_notes_no_stems():
    assert split_song(each_second(program(0, 3)), AS_WRITTEN).messages == {}


def test_reading_follows_the_tempo_and_merges_tracks():
    tempo = [MetaMessage("set_tempo", tempo=250_000), MetaMessage("set_tempo", tempo=1_000_000, time=480)]
    song = content(tempo, [on(0), off(0).copy(time=960)], [on(9).copy(time=480)], ticks_per_beat=480)
    assert [(time_s, message.channel) for time_s, message in read_messages(song)] == [(0, 0), (0.25, 9), (1.25, 0)]


def test_what_is_written_reads_the_same(tmp_path):
    song = split_song(each_second(program(1, 33), on(9), on(1), off(9), off(1)), AS_WRITTEN)
    for stem, part in song.messages.items():
        write_midi(part, song.end_s, tmp_path / f"{stem}.mid")
        back = read_messages((tmp_path / f"{stem}.mid").read_bytes())
        assert [message.copy(time=0) for _, message in back] == [message for _, message in part]
        assert [time_s for time_s, _ in back] == pytest.approx([time_s for time_s, _ in part])
        assert mido.MidiFile(tmp_path / f"{stem}.mid").length == pytest.approx(song.end_s + midi.TAIL_S)


@pytest.mark.parametrize(
    ("damaged", "match"),
    [
        (b"", "not a usable MIDI file"),
        (b"RIFF....RMID", "not a usable MIDI file"),
        (content([on(0), off(0)])[:-6], "not a usable MIDI file"),
        (content([on(0), off(0)], kind=2), "type 2"),
        (content([on(0), off(0)], ticks_per_beat=-6360), "SMPTE"),
        (content([on(0), off(0)], ticks_per_beat=0), "not in beats"),
    ],
)
def test_unusable_files(damaged, match):
    with pytest.raises(ValueError, match=match) as error:
        read_messages(damaged)
    assert "\n" not in str(error.value)
