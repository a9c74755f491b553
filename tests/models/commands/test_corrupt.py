"""The command ``corrupt``: right audio and truth, deterministic, resumed after a kill, misuse in one line."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from conftest import SAMPLE_RATE, STEMS, TEST_TRACK, TRAIN_TRACK, VALID_TRACK, synthetic_stems, write_track
from models.__main__ import main
from models.commands import corrupt as command
from models.corruption.truth import read_truth
from models.running.repository import ROOT
from models.tracks import open_tracks
from models.training.data.packs import prepare_pack

KINDS = ("label-noise", "bleeding")


@pytest.fixture
def songs(tmp_path):
    """A flat folder of eleven short songs; the first and the last validate."""
    for index in range(11):
        write_track(tmp_path / "songs" / f"song {index:02d}", synthetic_stems(index, 0.1), with_mixture=False)
    return tmp_path / "songs"


def corrupt(data, out, kind="label-noise", *more: str) -> int:
    return main(["corrupt", "--data", str(data), "--kind", kind, "--out", str(out), "--seed", "3", *more])


def content(out) -> dict[str, bytes]:
    """Every file but the lock; of wav files the samples, as libsndfile writes the time into their headers."""
    files = (path for path in sorted(out.rglob("*")) if path.is_file() and path.name != "lock")
    return {
        str(path.relative_to(out)): soundfile.read(path)[0].tobytes() if path.suffix == ".wav" else path.read_bytes()
        for path in files
    }


def audio_of(folder) -> dict[str, np.ndarray]:
    return {track.name: track.read_stems(STEMS) for track in open_tracks(folder, "all")}


def one_line(capsys) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_says_what_every_stem_holds(songs, tmp_path, capsys, kind):
    assert corrupt(songs, tmp_path / "out", kind, "--share", "0.6") == 0
    before, after = audio_of(songs), audio_of(tmp_path / "out")
    truth = read_truth(tmp_path / "out" / "truth.csv")
    assert len(truth) == 9 * 4
    for (track, stem), row in truth.items():
        held = np.sum([before[track][name] for name in row.holds.split("+") if name] or [0 * before[track][stem]], 0)
        is_same = np.allclose(held, after[track][stem], atol=1e-6)
        assert is_same == (row.action != "bleeding")
        assert row.is_dirty == (
            not np.array_equal(after[track][stem], before[track][stem]) and after[track][stem].any()
        )
        if row.action == "bleeding":
            ratio = np.sum((after[track][stem] - held) ** 2) / np.sum(held**2)
            assert 10 * np.log10(ratio) == pytest.approx(-10, abs=0.01) and row.leaks.startswith("-10 dB: ")
    actions = {row.action for row in truth.values()}
    assert actions == ({"kept", "bleeding"} if kind == "bleeding" else {"kept", "exchanged", "mixed", "emptied"})
    assert "9 training tracks, 9 written now" in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_the_mixture_is_unchanged_and_the_validation_tracks_too(songs, tmp_path, kind):
    assert corrupt(songs, tmp_path / "out", kind, "--share", "1") == 0
    before = {track.name: track.read_mixture() for track in open_tracks(songs, "all")}
    for track in open_tracks(tmp_path / "out", "all"):
        assert np.allclose(track.read_mixture(), before[track.name], atol=1e-6)
    clean = audio_of(songs)
    valid = open_tracks(tmp_path / "out", "valid")
    assert [track.name for track in valid] == ["song 00", "song 10"]
    for track in valid:
        assert track.path.is_symlink()
        assert all(np.array_equal(track.read_stem(stem), clean[track.name][stem]) for stem in STEMS)


def test_a_data_sets_own_splits_are_kept(hq_root, tmp_path):
    assert corrupt(hq_root, tmp_path / "out", "label-noise", "--share", "1") == 0
    names = {split: [t.name for t in open_tracks(tmp_path / "out", split)] for split in ("train", "valid", "test")}
    assert names == {"train": [TRAIN_TRACK], "valid": [VALID_TRACK], "test": [TEST_TRACK]}
    assert {row.track for row in read_truth(tmp_path / "out" / "truth.csv").values()} == {TRAIN_TRACK}
    assert (tmp_path / "out" / "train" / TRAIN_TRACK / "mixture.wav").is_symlink()
    pack = prepare_pack([tmp_path / "out"], tmp_path / "pack", STEMS, SAMPLE_RATE)
    assert pack.origin == "label-noise of musdb18hq"


def test_same_seed_same_files_other_seed_others(songs, tmp_path):
    for out, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        assert corrupt(songs, tmp_path / out, "label-noise", "--seed", seed) == 0
    a, b, c = (content(tmp_path / out) for out in "abc")
    assert a == b
    assert a["truth.csv"] != c["truth.csv"]


def test_a_track_does_not_depend_on_the_others(songs, tmp_path):
    assert corrupt(songs, tmp_path / "all", "bleeding") == 0
    (tmp_path / "few").mkdir()
    for name in ("song 00", "song 05"):
        (tmp_path / "few" / name).symlink_to(songs / name)
    assert corrupt(tmp_path / "few", tmp_path / "out", "bleeding") == 0
    path = "train/song 05/truth.json"
    assert content(tmp_path / "out")[path] == content(tmp_path / "all")[path]


def test_share_0_keeps_every_stem_as_a_link(songs, tmp_path, capsys):
    assert corrupt(songs, tmp_path / "out", "label-noise", "--share", "0") == 0
    assert "0 of 36 stems are dirty" in capsys.readouterr().out
    assert all(path.is_symlink() for path in (tmp_path / "out").rglob("*.wav"))


@pytest.mark.parametrize("kind", KINDS)
def test_no_vocals_all_silent_and_equal_stems(tmp_path, kind):
    silence = np.zeros((2, 4410), dtype=np.float32)
    stems = synthetic_stems(0, 0.1)
    songs = {
        "a": stems,
        "no vocals": {**stems, "vocals": silence},
        "silent": dict.fromkeys(STEMS, silence),
        "equal": {**stems, "drums": stems["vocals"]},
    }
    for name, audio in songs.items():
        write_track(tmp_path / "data" / name, audio, with_mixture=False)
    assert corrupt(tmp_path / "data", tmp_path / "out", kind, "--share", "1") == 0
    truth = read_truth(tmp_path / "out" / "truth.csv")
    assert {truth["silent", stem].action for stem in STEMS} == {"silent"}
    after = audio_of(tmp_path / "out")
    assert not any(after["silent"][stem].any() for stem in STEMS)
    if kind == "label-noise":
        assert truth["no vocals", "vocals"].action == "silent" and not after["no vocals"]["vocals"].any()
        for stem in STEMS:
            row = truth["equal", stem]
            assert (row.action == "kept") == np.array_equal(after["equal"][stem], songs["equal"][stem])
    else:
        assert truth["no vocals", "vocals"].action == "bleeding" and after["no vocals"]["vocals"].any()


def test_rendered_tracks_stay_rendered_and_other_stems_are_no_matter(tmp_path):
    for index, name in enumerate(("a", "b")):
        audio = synthetic_stems(index, 0.1)
        folder = tmp_path / "data" / name
        write_track(folder, audio, with_mixture=False)
        (folder / "vocals.wav").rename(folder / "guitar.wav")
    (tmp_path / "data" / "b" / "render.json").write_text("{}")
    assert corrupt(tmp_path / "data", tmp_path / "out", "label-noise", "--share", "1") == 0
    (track,) = open_tracks(tmp_path / "out", "train", ())
    assert track.rendered and track.stems == ("drums", "bass", "other", "guitar")


def test_a_finished_track_is_never_written_twice(songs, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    real, calls = command.corrupt_track, []

    def stopped_at_the_fourth(track, *arguments):
        real(track, *arguments)
        calls.append(track.name)
        if len(calls) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "corrupt_track", stopped_at_the_fourth)
    assert corrupt(songs, out, "bleeding") == 130
    assert len(list((out / "train").iterdir())) == 3 and not (out / "truth.csv").exists()
    assert not (out / ".unfinished").exists()
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.wav")}
    (out / ".unfinished" / "song 04").mkdir(parents=True)  # what a kill leaves
    monkeypatch.setattr(command, "corrupt_track", real)
    capsys.readouterr()
    assert corrupt(songs, out, "bleeding") == 0
    assert "6 written now" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert corrupt(songs, tmp_path / "whole", "bleeding") == 0
    assert content(out) == content(tmp_path / "whole")


@pytest.mark.slow
def test_killed_and_resumed(songs, tmp_path):
    arguments = [sys.executable, "-m", "models", "corrupt", "--data", str(songs), "--kind", "bleeding"]
    arguments += ["--out", str(tmp_path / "out"), "--seed", "3"]
    process = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while process.poll() is None and not (tmp_path / "out" / "train").exists():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert corrupt(songs, tmp_path / "out", "bleeding") == 0
    assert corrupt(songs, tmp_path / "whole", "bleeding") == 0
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_an_out_that_holds_something_else_is_refused(songs, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert corrupt(songs, out) == 2
    assert "holds other files" in one_line(capsys)
    assert sorted(path.name for path in out.iterdir()) == ["mine.txt"]
    (out / "mine.txt").unlink()
    assert corrupt(songs, out) == 0
    capsys.readouterr()
    assert corrupt(songs, out, "bleeding") == 2
    assert "was begun with kind 'label-noise', got 'bleeding'" in one_line(capsys)
    assert corrupt(songs, out, "label-noise", "--share", "0.5") == 2
    assert "was begun with share 0.3, got 0.5" in one_line(capsys)


def test_other_tracks_than_those_it_was_begun_with_need_another_folder(songs, tmp_path, capsys):
    data = shutil.copytree(songs, tmp_path / "data")
    assert corrupt(data, tmp_path / "out") == 0
    capsys.readouterr()
    write_track(data / "song 99", synthetic_stems(99, 0.1), with_mixture=False)
    assert corrupt(data, tmp_path / "out") == 2
    assert re.search("was begun with tracks '9 train, 2 valid, 0 test .*', got '10 train, 2", one_line(capsys))
    shutil.rmtree(data / "song 99")
    assert corrupt(data, tmp_path / "out") == 0
    track = next((data / "song 05").glob("bass.wav"))
    track.write_bytes(track.read_bytes()[:-4] + bytes(4))
    assert corrupt(data, tmp_path / "out") == 2


def test_bad_arguments_are_one_line(songs, tmp_path, capsys):
    for more, message in (
        (["--share", "1.5"], "--share: expected a probability"),
        (["--share", "nan"], "--share: expected a probability"),
        (["--seed", "-1"], "--seed: expected at least 0"),
        (["--level-db", "40"], "--level-db: expected -60 to 20 dB"),
    ):
        assert corrupt(songs, tmp_path / "out", "bleeding", *more) == 2
        assert message in one_line(capsys)
    assert corrupt(tmp_path / "nothing", tmp_path / "out") == 2
    assert "no tracks in" in one_line(capsys)
    write_track(tmp_path / "one" / "song", synthetic_stems(0, 0.1), with_mixture=False)
    assert corrupt(tmp_path / "one", tmp_path / "out") == 2
    assert "expected a training track" in one_line(capsys)


def test_two_tracks_of_one_name_and_unusable_ones(songs, tmp_path, capsys):
    write_track(tmp_path / "more" / "song 03", synthetic_stems(0, 0.1), with_mixture=False)
    arguments = ["corrupt", "--kind", "bleeding", "--out", str(tmp_path / "out"), "--seed", "0", "--data"]
    assert main([*arguments, str(songs), str(tmp_path / "more")]) == 2
    assert "have one name" in one_line(capsys)
    for stem in STEMS[1:]:
        (songs / "song 03" / f"{stem}.wav").unlink()
    assert main([*arguments, str(songs)]) == 2
    assert "'song 03': expected two stems or more, got vocals" in one_line(capsys)
