"""The command `sing`: vocals for training, resumable, bad input in one line."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from voice_banks import write_melody, write_voice_bank

from conftest import STEMS
from models.__main__ import main
from models.running.folder_lock import sole_writer
from models.tracks import open_tracks
from models.training.data.packs import prepare_pack

PITCHES = [57 + step % 8 for step in range(24)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Two voices and two songs; six seconds of a song are sung."""
    monkeypatch.setattr("models.commands.sing.PART_S", 6.0)
    write_voice_bank(tmp_path / "voices" / "A3", recordings=1)
    write_voice_bank(tmp_path / "voices" / "C4", recordings=1, hz=262)
    write_melody(tmp_path / "songs" / "first.mid", PITCHES, beat_s=0.25)
    write_melody(tmp_path / "songs" / "second.mid", [pitch + 5 for pitch in PITCHES], beat_s=0.25)
    return tmp_path


def run(place, out="out", *more):
    voices, songs = str(place / "voices"), str(place / "songs")
    return main(["sing", "--voices", voices, "--midi", songs, "--out", str(place / out), "--lines", "2", *more])


def audio_bytes(out):
    return {path.parent.name: path.read_bytes() for path in sorted(out.glob("*/vocals.flac"))}


def test_lines_of_every_voice_are_training_tracks_of_vocals(place, hq_root, capsys):
    assert run(place) == 0
    assert "4 lines of 2 voices" in capsys.readouterr().out
    tracks = open_tracks(place / "out", "all")
    assert len(tracks) == 4 and all(track.rendered for track in tracks)
    lines = audio_bytes(place / "out")
    assert len(set(lines.values())) == 4
    for track in tracks:
        vocals, rate = soundfile.read(track.path / "vocals.flac")
        assert rate == 44100 and np.abs(vocals).max() == pytest.approx(0.7, abs=1e-3)
        assert not soundfile.read(track.path / "drums.flac")[0].any()
        facts = json.loads((track.path / "render.json").read_text())
        assert facts["midi"] in ("first.mid", "second.mid") and facts["voice"] in ("A3", "C4")
        assert facts["duration_s"] == pytest.approx(len(vocals) / rate)
    pack = prepare_pack([hq_root, place / "out"], place / "pack", STEMS, 44100)
    silent = {track.name: track.silent for track in pack.split("train")}
    assert [silent[track.name] for track in tracks] == [(False, True, True, True)] * 4


def test_again_only_what_is_missing_damaged_or_of_other_arguments(place, capsys):
    assert run(place) == 0
    first = audio_bytes(place / "out")
    names = sorted(first)
    shutil.rmtree(place / "out" / names[0])
    (place / "out" / names[1] / "render.json").write_text("{")
    (place / "out" / ".unfinished" / names[0]).mkdir(parents=True)  # what a killed process leaves
    capsys.readouterr()
    assert run(place) == 0
    assert "2 sung now" in capsys.readouterr().out and audio_bytes(place / "out") == first
    assert not (place / "out" / ".unfinished").exists()
    assert run(place, "out", "--voices", str(place / "voices"), str(place / "voices" / "A3")) == 0
    assert "4 lines of 2 voices" in capsys.readouterr().out  # a folder named twice is one voice
    assert run(place, "out", "--seed", "1") == 0
    assert "4 sung now" in capsys.readouterr().out
    other = audio_bytes(place / "out")
    assert other.keys() == first.keys() and not set(other.values()) & set(first.values())


def test_songs_without_a_melody_are_passed_over(place, capsys):
    (place / "songs" / "second.mid").write_bytes(b"no midi")
    write_melody(place / "songs" / "third.mid", PITCHES, name="GUITAR")
    write_melody(place / "songs" / "fourth.mid", PITCHES[:5])
    assert run(place) == 0
    names = {json.loads(path.read_text())["midi"] for path in (place / "out").glob("*/render.json")}
    assert names == {"first.mid"}
    (place / "songs" / "first.mid").unlink()
    assert run(place, "other") == 2
    assert capsys.readouterr().err.count("no melody in any of 3 songs; the last was ") == 1


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--voices", "songs", "no oto.ini whose recordings exist in"),
        ("--midi", "voices", "no .mid or .midi files in"),
        ("--midi", "nowhere", "expected a folder of MIDI files, got"),
        ("--lines", "0", "--lines: expected at least 1, got 0"),
        ("--recordings", "0", "--recordings: expected at least 1, got 0"),
        ("--seed", "-1", "--seed: expected at least 0, got -1"),
    ],
)
def test_bad_arguments_are_one_line(place, capsys, option, value, message):
    value = str(place / value) if option in ("--voices", "--midi") else value
    assert run(place, "out", option, value) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_a_damaged_recording_is_named(place, capsys):
    path = place / "voices" / "C4" / "_ka0.wav"
    path.write_bytes(path.read_bytes()[:1000])
    assert run(place) == 2
    assert str(path) in capsys.readouterr().err
    assert len(audio_bytes(place / "out")) == 2  # the other voice's lines stay


def test_a_folder_has_one_writer(place, capsys):
    with sole_writer(place / "out"):
        assert run(place) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
