"""`separate` on folders: sums, formats, names, several at a time, what is done is skipped, a report."""

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
import torch

from models.__main__ import main
from models.audio.reader import read_audio
from models.audio.tags import read_tags
from models.commands import separators
from models.running.repository import ROOT
from models.separation.separator import NetworkSeparator
from scaled_copies import RATE, SETTINGS, STEMS, ScaledCopies, noise


def write_song(path: Path, seed: int = 0, length: int = 20_000, **tags: str) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    waveform = (0.05 * noise(length + seed)[:, :length] * 2**15).round() / 2**15
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        for name, text in tags.items():
            setattr(file, name, text)
        file.write(waveform.T)
    return waveform


@pytest.fixture
def music(tmp_path, shipped) -> Path:
    for seed, name in enumerate(("a.flac", "rock/b.flac", "rock/live/c.flac")):
        write_song(tmp_path / "music" / name, seed, title=f"T{seed}", artist="Q/R")
    (tmp_path / "music" / "notes.txt").write_text("words")
    return tmp_path / "music"


def separate(*arguments: object) -> int:
    return main(["separate", *map(str, arguments), "--device", "cpu"])


def names(folder: Path) -> list[str]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in files if ".separated" not in path.parts)


def test_a_folder_keeps_its_tree_and_is_done_once(music, tmp_path, capsys):
    command = (music, "--out", tmp_path / "out", "--two-stems", "bass", "--jobs", 2)
    assert separate(*command) == 0
    assert names(tmp_path / "out") == [
        f"{song}/{stem}.wav" for song in ("a", "rock/b", "rock/live/c") for stem in ("accompaniment", "bass")
    ]
    assert "3 songs: 3 separated, 0 done before, 0 failed" in capsys.readouterr().out
    before = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in names(tmp_path / "out")}
    (tmp_path / "out" / "rock" / "b" / "bass.wav").unlink()
    write_song(music / "a.flac", 9)  # another song under the same name
    assert separate(*command) == 0
    shown = capsys.readouterr().out
    assert "3 songs: 2 separated, 1 done before, 0 failed" in shown and "c.flac: done before, " in shown
    after = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in names(tmp_path / "out")}
    assert {name for name in before if before[name] == after[name]} == {
        "rock/live/c/accompaniment.wav",
        "rock/live/c/bass.wav",
    }


@pytest.mark.parametrize(
    "other",
    [["--overlap", "0.25"], ["--sum-to-mix"], ["--clip", "rescale"], ["--set", "separate.segment_s=0.2"]],
    ids=lambda other: other[0],
)
def test_other_options_are_another_result(music, tmp_path, capsys, other):
    for arguments, line in (
        ([], "3 separated, 0 done"),
        (other, "3 separated, 0 done"),
        (other, "0 separated, 3 done"),
    ):
        assert separate(music, "--out", tmp_path / "out", *arguments) == 0
        assert line in capsys.readouterr().out


def test_a_song_that_fails_is_tried_again(music, tmp_path, capsys):
    content = (music / "a.flac").read_bytes()
    (music / "a.flac").write_bytes(content[:2000])
    assert separate(music, "--out", tmp_path / "out", "--report", tmp_path / "deep" / "r.json") == 2
    assert "3 songs: 2 separated, 0 done before, 1 failed" in capsys.readouterr().out
    songs = json.loads((tmp_path / "deep" / "r.json").read_text())["songs"]
    assert [(Path(song["input"]).name, song["status"]) for song in songs][0] == ("a.flac", "failed")
    assert "damaged or truncated" in songs[0]["error"]
    (music / "a.flac").write_bytes(content)
    assert separate(music, "--out", tmp_path / "out") == 0
    assert "3 songs: 1 separated, 2 done before, 0 failed" in capsys.readouterr().out


def test_report(music, tmp_path):
    command = (music, "--out", tmp_path / "out", "--report", tmp_path / "r.json", "--stems", "other,vocals")
    for status in ("separated", "done before"):
        assert separate(*command) == 0
        report = json.loads((tmp_path / "r.json").read_text())
        assert report["model"] and report["stems"] == ["other", "vocals"]
        song = report["songs"][0]
        assert song["status"] == status and song["duration_s"] == round(20_000 / RATE, 3) and song["gain_db"] == 0
        samples, _ = soundfile.read(song["files"][0]["path"])
        assert song["files"][0]["stem"] == "other"
        assert song["files"][0]["peak_dbfs"] == pytest.approx(20 * np.log10(np.abs(samples).max()), abs=0.02)
        assert song["files"][0]["samples_beyond_full_scale"] == 0


@pytest.mark.parametrize("sample_format", ["mp3", "m4a", "ogg", "opus"])
def test_encoded_stems_with_names_from_tags(music, tmp_path, sample_format):
    template = "{artist} - {title} ({stem})"
    out = tmp_path / "out"
    command = (music, "--out", out, "--format", sample_format, "--names", template, "--stems", "vocals")
    assert separate(*command) == 0
    expected = [f"Q_R - T0 (vocals).{sample_format}", f"rock/Q_R - T1 (vocals).{sample_format}"]
    assert names(out) == [*expected, f"rock/live/Q_R - T2 (vocals).{sample_format}"]
    assert read_tags(out / expected[1]).values["artist"] == "Q/R"
    decoded, song = read_audio(out / expected[0])[0], read_audio(music / "a.flac")[0]
    assert decoded.shape[0] == 2
    if sample_format != "opus":  # it has 48 kHz
        assert (decoded[:, : song.shape[-1]] - song).square().mean() < 0.2 * song.square().mean()


def test_names_that_collide_are_refused_before_any_work(music, tmp_path):
    shutil.copy(music / "a.flac", music / "again.flac")
    assert separate(music, "--out", tmp_path / "out", "--names", "{title} ({stem})") == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--names", "{stem} {year}"], "--names: expected fields of"),
        (["--two-stems", "voice"], "stems must be different ones of vocals, drums, bass, other, got voice"),
        (["--two-stems", "bass", "--stems", "bass"], "--two-stems names the only stem"),
        (["--sum-to-mix", "--stems", "bass"], "--sum-to-mix shares the rest out among all stems"),
        (["--clip", "none"], "--clip none needs a format"),
    ],
)
def test_bad_options_are_one_line(music, tmp_path, capsys, arguments, message):
    assert separate(music, "--out", tmp_path / "out", *arguments) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments", [["--two-stems", "bass", "--residual"], ["--jobs", "0"], ["--threads", "x"], ["--clip", "wrap"]]
)
def test_bad_arguments_end_the_parser(music, capsys, arguments):
    with pytest.raises(SystemExit):
        separate(music, *arguments)
    assert "argument --" in capsys.readouterr().err


def test_the_default_output_folder(music, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert separate(music / "a.flac", "--residual", "--stems", "drums") == 0
    assert names(tmp_path / "stems") == ["drums.wav", "residual.wav"]


@pytest.mark.parametrize(("arguments", "threads"), [(["--threads", "2"], 2), (["--jobs", "64"], 1)])
def test_threads(music, tmp_path, arguments, threads):
    torch.set_num_threads(3)
    assert separate(music, "--out", tmp_path / "out", *arguments) == 0
    assert torch.get_num_threads() == threads


def test_video(tmp_path, shipped):
    song = write_song(tmp_path / "song.wav")
    video = ["-f", "lavfi", "-i", "testsrc=s=64x64:d=0.4", "-i", tmp_path / "song.wav", "-c:a", "flac"]
    (tmp_path / "clips").mkdir()
    subprocess.run(["ffmpeg", "-v", "error", *video, tmp_path / "clips" / "song.mkv"], check=True)
    assert separate(tmp_path / "clips", "--out", tmp_path / "out", "--stems", "vocals", "--format", "flac16") == 0
    samples, _ = soundfile.read(tmp_path / "out" / "song" / "vocals.flac")
    np.testing.assert_allclose(samples, song.T, atol=1e-4)


@pytest.fixture
def interruptible():
    """SIGINT raises KeyboardInterrupt; a shell's background jobs, such as `nohup make test &`, inherit its ignoring."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_interrupted_jobs_leave_no_unfinished_stems(music, tmp_path, capsys, monkeypatch, interruptible):
    class Interrupting(ScaledCopies):
        sent = False

        def forward(self, mixture):
            if len(self.lengths) >= 20 and not self.sent:
                self.sent = True
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.02)
            return super().forward(mixture)

    separator = NetworkSeparator(Interrupting(), SETTINGS)
    monkeypatch.setattr(separators, "open_separator", lambda *_, **__: separator)
    for index in range(4):
        write_song(music / f"long{index}.flac", length=RATE)
    assert separate(music, "--out", tmp_path / "out", "--jobs", 2) == 130
    assert "interrupted, none of its stems were written" in capsys.readouterr().err.splitlines()[-1]
    written = names(tmp_path / "out")
    assert len(written) % len(STEMS) == 0 and not [name for name in written if ".part" in name]


@pytest.mark.slow
def test_killed_and_repeated_it_does_only_what_is_left(tmp_path):
    """A kill of the process that cannot be caught, in the middle of its work; the command is the issue's."""
    for seed in range(4):
        write_song(tmp_path / "music" / f"{seed}.wav", seed, length=12 * RATE)
    command = [sys.executable, "-m", "models", "separate", tmp_path / "music", "--two-stems", "vocals"]
    command += ["--format", "mp3", "--jobs", "2", "--checkpoint", "tiny", "--out", tmp_path / "out"]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert " -> " in first.stdout.readline()
    out = tmp_path / "out"
    first.kill()
    first.communicate()
    done = {
        name: (tmp_path / "out" / name).stat().st_mtime_ns for name in names(tmp_path / "out") if "part" not in name
    }
    assert len(done) >= 2
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    summary = second.stdout.splitlines()[-1]
    assert summary.startswith("4 songs: ") and int(summary.split("ted, ")[1].split()[0]) >= 1 and "0 failed" in summary
    assert len(names(out)) == 8  # nothing unfinished is left
    kept = [name for name, time_ns in done.items() if (out / name).stat().st_mtime_ns == time_ns]
    assert len(kept) >= 2
