"""python -m benchmark separate: songs without stems, with any system."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmark import __main__ as command
from models.pseudo.songs import find_unlabelled
from models.pseudo.teachers import open_teachers, parse_teachers

RATE = 44100


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """A stereo song, a mono one of another rate, an empty one and one that is no audio."""
    folder = tmp_path / "songs"
    (folder / "album").mkdir(parents=True)
    noise = np.random.default_rng(0).normal(scale=0.1, size=(RATE, 2))
    soundfile.write(folder / "album" / "stereo.wav", noise, RATE, subtype="PCM_24")
    soundfile.write(folder / "mono.wav", noise[:3000, 0], 8000, subtype="PCM_24")
    (folder / "text.wav").write_text("no audio")
    return folder


def separate(songs: Path, out: Path, *arguments: str) -> int:
    return command.main(["separate", str(songs), "--out", str(out), "--threads", "1", *arguments])


def test_every_system_separates_every_song_and_what_is_done_is_kept(songs, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--systems", "mixture,openunmix", "--system", "halves=separator_fakes:Halves"]
    assert separate(songs, out, *options) == 2  # text.wav
    printed = capsys.readouterr()
    assert printed.err.count("text.wav: ") == 2 and printed.err.count("\n") == 2
    assert len(printed.out.splitlines()) == 4 and "done before" not in printed.out
    mixture, rate = soundfile.read(songs / "mono.wav", always_2d=True)
    half, half_rate = soundfile.read(out / "halves" / "mono" / "drums.flac", always_2d=True)
    assert rate == half_rate and half == pytest.approx(mixture / 2, abs=2**-23)
    found = {path.relative_to(out).as_posix() for path in out.rglob("*.flac")}
    stems = {"halves": ("vocals", "drums"), "openunmix": ("vocals", "drums", "bass", "other")}
    names = {f"{s}/{song}/{stem}.flac" for s in stems for stem in stems[s] for song in ("mono", "album/stereo")}
    assert found == names

    made = {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")}
    assert separate(songs, out, *options) == 2
    assert capsys.readouterr().out.count("done before") == 4
    assert made == {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")}


def test_the_stems_are_a_teacher(songs, tmp_path):
    (songs / "text.wav").unlink()
    assert separate(songs, tmp_path / "out", "--systems", "mixture", "--system", "halves=separator_fakes:Halves") == 0
    unlabelled = find_unlabelled([songs], tmp_path / "run")
    sources = parse_teachers([str(tmp_path / "out" / "halves")], ("vocals", "drums"))
    (teacher,) = open_teachers(sources, unlabelled, RATE, "cpu")
    for song in unlabelled:
        mixture = song.read(RATE)
        stems = teacher.separate(song, mixture, 0, 500)
        assert stems["drums"] == pytest.approx(mixture[:, :500] / 2, abs=1e-4 if song.name == "mono" else 2**-23)


@pytest.mark.parametrize(
    ("system", "reason"),
    [
        ("separator_fakes:NotFinite", "x: expected finite samples, got NaN or infinity in vocals"),
        ("separator_fakes:Broken", "x failed: out of order"),
        ("separator_fakes:Short", "x: expected vocals of shape (2, 44100), got (2, 1)"),
    ],
)
def test_what_a_system_does_wrong_is_one_line(system, reason, songs, tmp_path, capsys):
    song = songs / "album" / "stereo.wav"
    assert separate(song, tmp_path / "out", "--systems", "mixture", "--system", f"x={system}") == 2
    assert capsys.readouterr().err == f"{song}: {reason}\n" and not list((tmp_path / "out").rglob("*.flac"))


def test_bounds_do_not_separate(songs, tmp_path, capsys):
    assert separate(songs, tmp_path / "out", "--systems", "mixture,oracle") == 2
    assert capsys.readouterr().err == (
        "benchmark: --systems: expected a system that separates a mixture, got bounds only\n"
    )
