"""The `separate` command: songs to stem files; one line for a song that fails; no incomplete files."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from models.arguments import add_separate_arguments
from models.audio.formats import FORMATS
from models.commands.separate import run
from models.running.repository import ROOT
from models.separation.separator import NetworkSeparator
from models.songs.records import FOLDER
from scaled_copies import RATE, SETTINGS, ScaledCopies, noise

pytestmark = pytest.mark.usefixtures("shipped")


def write_song(
    path: Path, channels: int = 2, rate: int = RATE, length: int = 20_000, level: float = 0.05
) -> np.ndarray:
    waveform = (level * noise(length, channels)).clip(-1, 1)
    soundfile.write(path, waveform.T, rate, subtype="FLOAT" if path.suffix == ".wav" else None)
    return waveform


def separate(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    add_separate_arguments(parser)
    return run(parser.parse_args([str(argument) for argument in [*arguments, "--device", "cpu"]]))


def names(folder: Path) -> list[str]:
    """Files below a folder; the records of what is done are in a hidden folder."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in files if FOLDER not in path.parts)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [RATE, 48000])
def test_one_song(tmp_path, capsys, channels, rate):
    song = write_song(tmp_path / "song.wav", channels, rate)
    out = tmp_path / "deep" / "stems"
    assert separate(tmp_path / "song.wav", "--out", out) == 0
    assert names(out) == ["bass.wav", "drums.wav", "other.wav", "vocals.wav"]
    stem, stem_rate = soundfile.read(out / "vocals.wav", dtype="float32", always_2d=True)
    assert stem_rate == rate and stem.shape == song.T.shape
    assert soundfile.info(out / "vocals.wav").subtype == "PCM_16"
    if rate == RATE:
        np.testing.assert_allclose(stem, song.T, atol=1e-4)
    shown = capsys.readouterr()
    assert shown.out.count("\n") == 1 and str(out / "other.wav") in shown.out
    assert shown.err == ""


def test_progress_bar_on_a_terminal(tmp_path, capsys, monkeypatch):
    write_song(tmp_path / "song.wav")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert separate(tmp_path / "song.wav", "--out", tmp_path) == 0
    assert "song: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("sample_format", list(FORMATS))
def test_formats_and_stems(tmp_path, sample_format):
    song = write_song(tmp_path / "song.wav")
    assert (
        separate(tmp_path / "song.wav", "--out", tmp_path / "out", "--stems", "bass, drums", "--format", sample_format)
        == 0
    )
    extension = FORMATS[sample_format].extension
    assert names(tmp_path / "out") == [f"bass{extension}", f"drums{extension}"]
    assert soundfile.info(tmp_path / "out" / f"bass{extension}").subtype == FORMATS[sample_format].subtype
    stem, _ = soundfile.read(tmp_path / "out" / f"drums{extension}", dtype="float32")
    np.testing.assert_allclose(stem, 2 * song.T, atol=1e-4)


def test_clipping_is_reported(tmp_path, capsys):
    write_song(tmp_path / "song.wav", level=0.2)
    assert separate(tmp_path / "song.wav", "--out", tmp_path, "--stems", "other") == 0
    assert "other.wav: " in (shown := capsys.readouterr().err) and "samples clipped; --format wavfloat" in shown
    assert separate(tmp_path / "song.wav", "--out", tmp_path, "--stems", "other", "--format", "wavfloat") == 0
    assert "clipped" not in capsys.readouterr().err


def test_a_bad_song_among_several(tmp_path, capsys):
    write_song(tmp_path / "a.wav")
    write_song(tmp_path / "b.flac", channels=1)
    (tmp_path / "text.wav").write_text("words")
    (tmp_path / "empty.mp3").touch()
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[: len(content) // 2])
    songs = [tmp_path / name for name in ("text.wav", "a.wav", "empty.mp3", "cut.wav", "gone.ogg", "b.flac")]
    assert separate(*songs, "--out", tmp_path / "out", "--stems", "vocals") == 2
    assert names(tmp_path / "out") == ["a/vocals.wav", "b/vocals.wav"]
    lines = capsys.readouterr().err.splitlines()
    expected = {
        "text": "not an audio file|install ffmpeg",
        "empty": "empty",
        "cut": "truncated",
        "gone": "no such file",
    }
    for (name, message), line in zip(expected.items(), lines, strict=True):
        assert line.startswith(f"{tmp_path / name}.") and line.count(f"{name}.") == 1
        assert any(part in line for part in message.split("|"))


def test_same_names_are_refused(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_song(tmp_path / folder / "song.wav")
    with pytest.raises(ValueError, match="a/song.wav and .*b/song.wav would both write to"):
        separate(tmp_path / "a/song.wav", tmp_path / "b/song.wav", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_input_is_never_overwritten(tmp_path, monkeypatch):
    write_song(tmp_path / "vocals.wav")
    before = (tmp_path / "vocals.wav").read_bytes()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="vocals.wav is an input"):
        separate("vocals.wav", "--out", ".")
    assert names(tmp_path) == ["vocals.wav"]
    assert (tmp_path / "vocals.wav").read_bytes() == before
    assert separate("vocals.wav", "--out", ".", "--stems", "drums") == 0
    assert names(tmp_path) == ["drums.wav", "vocals.wav"]


@pytest.mark.parametrize(
    "arguments", [["--stems", "voice"], ["--overlap", "1"], ["--device", "quantum"], ["--set", "separate.segment_s=x"]]
)
def test_bad_arguments(tmp_path, arguments):
    write_song(tmp_path / "song.wav")
    with pytest.raises(ValueError, match=f"got '?{arguments[1].split('=')[-1]}"):
        parser = argparse.ArgumentParser()
        add_separate_arguments(parser)
        run(parser.parse_args([str(tmp_path / "song.wav"), "--out", str(tmp_path), *arguments]))


class Interrupted(ScaledCopies):
    """Ctrl-C in the second chunk."""

    def forward(self, mixture):
        if len(self.lengths) > 3:
            raise KeyboardInterrupt
        return super().forward(mixture)


def run_command(*arguments: object, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "models", "separate", *map(str, arguments), "--device", "cpu"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False, **options)


def test_if_one_stem_cannot_be_renamed_none_appears(tmp_path, capsys):
    write_song(tmp_path / "song.wav")
    out = tmp_path / "out"
    (out / "bass.wav").mkdir(parents=True)
    (out / "vocals.wav").write_text("of an earlier run")
    assert separate(tmp_path / "song.wav", "--out", out) == 2
    assert "bass.wav: expected a place for a file, got a folder" in capsys.readouterr().err
    assert names(out) == ["vocals.wav"] and (out / "vocals.wav").read_text() == "of an earlier run"


def test_names_of_dots_stay_inside_the_folder(tmp_path):
    write_song(tmp_path / "a.wav")
    for name in ("...wav", "..wav"):
        shutil.copy(tmp_path / "a.wav", tmp_path / name)
    out = tmp_path / "deep" / "out"
    songs = [tmp_path / name for name in ("...wav", "..wav", "a.wav")]
    assert separate(*songs, "--out", out, "--stems", "bass") == 0
    assert names(tmp_path / "deep") == ["out/...wav/bass.wav", "out/..wav/bass.wav", "out/a/bass.wav"]


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_names_that_the_terminal_cannot_show_are_escaped(tmp_path, encoding):
    odd = [os.fsdecode(b"\xff\xfe.wav"), "\u266b\u4e2d.wav", "plain.wav"]
    for name in odd:
        soundfile.write(os.fsencode(tmp_path / name), 0.05 * noise(2000).T, RATE)
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "OMP_NUM_THREADS": "1"}
    songs = [tmp_path / name for name in odd]
    done = run_command(*songs, "--out", tmp_path / "out", "--stems", "bass", "--checkpoint", "tiny", env=environment)
    assert done.returncode == 0, done.stderr
    folders = {folder.name for folder in (tmp_path / "out").iterdir()} - {FOLDER}
    assert folders == {Path(name).stem for name in odd}
    assert done.stdout.count(b"\n") == 3


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_terminated_run_leaves_nothing(tmp_path, capsys, monkeypatch, number, status):
    class Terminated(ScaledCopies):
        def forward(self, mixture):
            if len(self.lengths) > 3:
                os.kill(os.getpid(), number)
            return super().forward(mixture)

    write_song(tmp_path / "song.wav", length=RATE)
    monkeypatch.setattr(
        "models.commands.separators.open_separator", lambda *_, **__: NetworkSeparator(Terminated(), SETTINGS)
    )
    before = signal.getsignal(number)
    assert separate(tmp_path / "song.wav", tmp_path / "more.wav", "--out", tmp_path / "out") == status
    assert names(tmp_path / "out") == []
    assert "song.wav: interrupted, none of its stems" in capsys.readouterr().err.splitlines()[-1]
    assert signal.getsignal(number) is before


def test_interrupt_leaves_no_half_stems(tmp_path, capsys, monkeypatch):
    write_song(tmp_path / "song.wav", length=RATE)
    separator = NetworkSeparator(Interrupted(), SETTINGS)
    monkeypatch.setattr("models.commands.separators.open_separator", lambda *_, **__: separator)
    assert separate(tmp_path / "song.wav", tmp_path / "more.wav", "--out", tmp_path / "out") == 130
    assert names(tmp_path / "out") == []
    assert "song.wav: interrupted" in capsys.readouterr().err.splitlines()[-1]


class NotFinite(ScaledCopies):
    def forward(self, mixture):
        return super().forward(mixture * torch.inf)


def test_an_error_of_the_network_names_the_song(tmp_path, capsys, monkeypatch):
    write_song(tmp_path / "song.wav")
    separator = NetworkSeparator(NotFinite(), SETTINGS)
    monkeypatch.setattr("models.commands.separators.open_separator", lambda *_, **__: separator)
    assert separate(tmp_path / "song.wav", "--out", tmp_path / "out") == 2
    assert names(tmp_path / "out") == []
    last = capsys.readouterr().err.splitlines()[-1]
    assert "song.wav: output of network" in last and "at 0.000 s" in last
