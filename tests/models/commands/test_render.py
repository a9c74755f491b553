"""The command `render`, with a real fluidsynth: stems for training, resumable, bad input in one line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mido import Message, MidiFile, MidiTrack

from conftest import STEMS
from models.__main__ import main
from models.rendering.levels import PEAK, level_db
from models.running.folder_lock import sole_writer
from models.tracks import open_tracks
from models.training.data.packs import prepare_pack

TIM = "/usr/share/sounds/sf2/TimGM6mb.sf2"
BEAT = 480


def write_song(path: Path, channels: dict[int, int], beats: int = 2, note: int = 45) -> None:
    """A song in which each channel plays a note on every beat with its program."""
    path.parent.mkdir(exist_ok=True)
    file = MidiFile(ticks_per_beat=BEAT)
    for channel, program in channels.items():
        track = MidiTrack([Message("program_change", channel=channel, program=program)])
        for _ in range(beats):
            track.append(Message("note_on", channel=channel, note=note, velocity=100))
            track.append(Message("note_off", channel=channel, note=note, time=BEAT))
        file.tracks.append(track)
    file.save(path)


@pytest.fixture
def songs(tmp_path):
    """Two songs with drums, bass and piano."""
    for name, note in (("first", 45), ("second", 50)):
        write_song(tmp_path / "songs" / f"{name}.mid", {9: 0, 0: 33, 1: 0}, note=note)
    return tmp_path / "songs"


def render(songs, out, *more):
    return main(["render", "--midi", str(songs), "--soundfont", TIM, "--out", str(out), "--jobs", "2", *more])


def read(folder):
    return {stem: soundfile.read(folder / f"{stem}.flac", dtype="float32")[0].T for stem in STEMS}


def marker(folder):
    return json.loads((folder / "render.json").read_text())


def audio_bytes(out):
    return {(path.parent.name, path.name): path.read_bytes() for path in sorted(out.glob("*/*.flac"))}


def test_each_stem_has_its_notes_at_sane_levels(tmp_path, capsys):
    songs = tmp_path / "songs"
    for name, channels in (("d", {9: 0}), ("b", {0: 33}), ("o", {0: 0}), ("all", {9: 0, 0: 38, 1: 48})):
        write_song(songs / f"{name}.mid", channels)
    assert render(songs, tmp_path / "out") == 0
    assert "4 tracks" in capsys.readouterr().out
    expected = {"d": ["drums"], "b": ["bass"], "o": ["other"], "all": ["drums", "bass", "other"]}
    for folder in (tmp_path / "out").glob("[!.]*/"):
        stems = read(folder)
        assert len({audio.shape for audio in stems.values()}) == 1
        assert {stem for stem in STEMS if stems[stem].any()} == set(expected[folder.name.split("-")[0]])
        mixture = sum(stems.values())
        peak = max(np.abs(audio).max() for audio in (mixture, *stems.values()))
        assert peak < PEAK + 1e-3
        assert level_db(mixture) > -17 or peak > PEAK - 1e-3


def test_prepare_takes_the_result(songs, tmp_path, hq_root):
    assert render(songs, tmp_path / "out") == 0
    tracks = open_tracks(tmp_path / "out", "train")
    facts = [marker(track.path) for track in tracks]
    assert [fact["midi"] for fact in facts] == ["first.mid", "second.mid"]
    assert [fact["duration_s"] for fact in facts] == [track.duration_s for track in tracks]
    pack = prepare_pack([hq_root, tmp_path / "out"], tmp_path / "pack", STEMS, 44100)
    silent = {track.name: track.silent for track in pack.split("train")}
    assert [silent[track.name] for track in tracks] == [(True, False, False, False)] * 2


def test_same_seed_same_files_other_seed_other_files(songs, tmp_path):
    for out, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert render(songs, tmp_path / out, "--seed", seed) == 0
    a, b, c = (audio_bytes(tmp_path / out) for out in "abc")
    assert a == b
    assert a.keys() == c.keys() and all(a[key] != c[key] for key in a if key[1] == "other.flac")


def test_variations_differ_and_record_how(songs, tmp_path):
    soundfont = shutil.copy(TIM, tmp_path / "copy.sf2")
    arguments = ["--soundfont", TIM, str(soundfont), "--variations", "4"]
    assert render(songs, tmp_path / "out", *arguments) == 0
    facts = [marker(path) for path in (tmp_path / "out").glob("first-*")]
    assert len({fact["tempo_factor"] for fact in facts}) == 4
    assert len({json.dumps(fact["programs"]) for fact in facts}) == 4
    assert {fact["soundfont"] for fact in facts} <= {"TimGM6mb.sf2", "copy.sf2"}
    for fact in facts:
        assert [(entry["channel"], entry["written"]) for entry in fact["programs"]] == [(1, 33), (2, 0), (10, 0)]
        assert all(entry["written"] // 8 == entry["played"] // 8 for entry in fact["programs"][:2])


def test_only_what_is_missing_is_rendered(songs, tmp_path, capsys):
    out = tmp_path / "out"
    assert render(songs, out) == 0
    before = audio_bytes(out)
    first, second = sorted(out.glob("[!.]*/"))
    kept = (first / "drums.flac").stat().st_mtime_ns
    # A killed run leaves a folder with the hidden name. A folder without its marker file can only be made by hand.
    (out / ".unfinished" / second.name).mkdir(parents=True)
    (out / ".unfinished" / second.name / "drums.flac").write_bytes(b"half")
    (second / "render.json").unlink()
    (second / "bass.flac").write_bytes(b"half")
    capsys.readouterr()
    assert render(songs, out) == 0
    assert "2 tracks" in (text := capsys.readouterr().out) and "1 rendered now" in text
    assert audio_bytes(out) == before and (first / "drums.flac").stat().st_mtime_ns == kept
    assert not (out / ".unfinished").exists()
    assert render(songs, out, "--seed", "5") == 0
    assert "2 rendered now" in capsys.readouterr().out
    assert {marker(folder)["seed"] for folder in (first, second)} == {5}


def test_unusable_songs_are_skipped_with_a_line(songs, tmp_path, capsys):
    (songs / "broken.mid").write_bytes(b"MThd nothing")
    (songs / "._first.mid").write_bytes(b"what macOS leaves")
    (songs / "deeper").mkdir()
    shutil.copy(songs / "first.mid", songs / "deeper" / "the same.MID")
    write_song(songs / "empty.mid", {0: 0}, beats=0)
    write_song(songs / "nameless \udcff.mid", {0: 0})
    assert render(songs, tmp_path / "out", "--variations", "2") == 0
    captured = capsys.readouterr()
    assert "6 tracks" in captured.out and "2 MIDI files skipped" in captured.out
    lines = sorted(line for line in captured.err.splitlines() if line.startswith("skipped"))
    assert len(lines) == 2
    assert "broken.mid: not a usable MIDI file" in lines[0] and "empty.mid: expected audible notes" in lines[1]


def one_line_error(capsys):
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("skipped")]
    assert len(lines) == 1 and lines[0].startswith("error: ")
    return lines[0]


def test_no_usable_song(tmp_path, capsys):
    songs = tmp_path / "songs"
    songs.mkdir()
    assert render(songs, tmp_path / "out") == 2
    assert "no .mid or .midi files" in one_line_error(capsys)
    (songs / "broken.mid").write_bytes(b"MThd nothing")
    assert render(songs, tmp_path / "out") == 2
    assert "no usable MIDI file: all 1 were skipped" in one_line_error(capsys)
    assert render(songs / "broken.mid", tmp_path / "out") == 2
    assert "expected a folder of MIDI files" in one_line_error(capsys)


def test_bad_arguments_are_one_line(songs, tmp_path, capsys, monkeypatch):
    wrong = str(songs / "first.mid")
    for more, message in (
        (["--soundfont", wrong], "expected a SoundFont 2 file"),
        (["--soundfont", str(tmp_path)], "--soundfont: no file"),
        (["--jobs", "0"], "--jobs: expected at least 1, got 0"),
        (["--variations", "0"], "--variations: expected at least 1, got 0"),
        (["--seed", "-1"], "--seed: expected at least 0, got -1"),
    ):
        assert render(songs, tmp_path / "out", *more) == 2
        assert message in one_line_error(capsys)
    monkeypatch.setenv("PATH", "")
    assert render(songs, tmp_path / "out") == 2
    assert "fluidsynth not found" in one_line_error(capsys)
    assert not (tmp_path / "out").exists()


def test_two_at_a_time_are_refused(songs, tmp_path, capsys):
    with sole_writer(tmp_path / "out"):
        assert render(songs, tmp_path / "out") == 2
    assert f"process {os.getpid()} is writing there" in one_line_error(capsys)


def test_a_full_disk_is_one_line_and_finished_songs_stay(songs, tmp_path, capsys, monkeypatch):
    assert render(songs, tmp_path / "out") == 0
    write_song(songs / "third.mid", {9: 0})
    monkeypatch.setattr(soundfile.SoundFile, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    capsys.readouterr()
    assert render(songs, tmp_path / "out") == 2
    assert "No space left" in one_line_error(capsys)
    assert {path.name[:5] for path in (tmp_path / "out").iterdir()} == {"lock", "first", "secon"}


@pytest.mark.slow
def test_killed_interrupted_and_resumed(songs, tmp_path):
    write_song(songs / "long.mid", {9: 0, 0: 33, 1: 0}, beats=300)  # some seconds of work
    out = tmp_path / "out"
    command = [sys.executable, "-m", "models", "render", "--midi", str(songs), "--soundfont", TIM, "--out", str(out)]
    for way in (signal.SIGKILL, signal.SIGINT):
        process = subprocess.Popen(
            [*command, "--jobs", "3"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
        )
        try:
            deadline = time.monotonic() + 300
            while not list(out.glob(".unfinished/long*/*.mid")) and time.monotonic() < deadline:
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(way)
            _, errors = process.communicate(timeout=300)
        finally:
            process.kill()
        assert not list(out.glob("long*"))
        assert all((folder / "render.json").exists() for folder in out.glob("[!.]*/"))
        if way == signal.SIGKILL:  # what the kill left must not pass for the next process's own work
            (out / ".unfinished").rename(tmp_path / "left")
    assert process.returncode == 130 and errors.decode().splitlines()[-1] == "interrupted"
    assert not (out / ".unfinished").exists()
    assert render(songs, out) == 0
    assert len(open_tracks(out, "train")) == 3
