"""The command ``clean``: finds the truth, resumes after a kill, links and never changes, misuse in one line."""

import csv
import json

import numpy as np
import pytest

from cleaning_scores import STEMS, Listener, tone_stems, write_judge
from conftest import SAMPLE_RATE, write_track
from models.__main__ import main
from models.commands import clean as command
from models.tracks import open_tracks
from models.training.data.origin import read_origin
from models.training.data.packs import prepare_pack


@pytest.fixture
def listener(monkeypatch) -> Listener:
    """The judge: a separator that hears exactly, in the place of the checkpoint's."""
    listener = Listener()
    monkeypatch.setattr(command, "load_separator", lambda *_: listener)
    return listener


@pytest.fixture
def dirty(tmp_path, capsys):
    """Label noise in eleven songs of tones, nine of which train."""
    for index in range(11):
        write_track(tmp_path / "songs" / f"song {index:02d}", tone_stems(index, 0.5), with_mixture=False)
    arguments = ["--data", str(tmp_path / "songs"), "--kind", "label-noise", "--seed", "3", "--share", "0.2"]
    assert main(["corrupt", *arguments, "--out", str(tmp_path / "dirty")]) == 0
    capsys.readouterr()
    return tmp_path / "dirty"


@pytest.fixture
def judge(tmp_path):
    return write_judge(tmp_path / "judge")


def clean(data, judge, out, *more: str) -> int:
    return main(["clean", "--data", str(data), "--checkpoint", str(judge), "--out", str(out), *more])


def one_line(capsys) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    return lines[0]


def content(out) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_a_model_that_hears_right_finds_the_truth(dirty, judge, listener, tmp_path, capsys):
    before = content(dirty)
    assert clean(dirty, judge, tmp_path / "out", "--worst", "0.5") == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in lines if line.startswith("|")}
    assert rows["all"][2] == "1.000" and rows["exchanged"][2] == "1.000" and rows["all"][4].strip(" |") == "1.000"
    assert content(dirty) == before
    # What is left is clean: each stem sounds in its own band alone.
    sounding = 0
    for track in open_tracks(tmp_path / "out", "train"):
        for stem in STEMS:
            audio = track.read_stem(stem)
            if audio.any():
                sounding += 1
                heard = listener.separate(audio, SAMPLE_RATE)
                assert np.sum(heard[stem] ** 2) > 0.99 * np.sum(audio**2)
    assert sounding >= 18
    moved = next(line for line in lines if line.startswith("relabelled"))
    count, right = (int(word) for word in moved.replace(",", " ").split() if word.isdigit())
    assert count == right > 0


def test_the_report_has_the_reasons_and_the_picture_is_there(dirty, judge, listener, tmp_path):
    assert clean(dirty, judge, tmp_path / "out") == 0
    with (tmp_path / "out" / "report.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 36 and all(row["reason"] for row in rows)
    assert {row["decision"] for row in rows} >= {"keep", "silent", "relabel"}
    dirt = [float(row["dirt"]) for row in rows]
    assert dirt == sorted(dirt, reverse=True)
    assert (tmp_path / "out" / "report.png").read_bytes().startswith(b"\x89PNG")


def test_a_cut_stretch_has_a_row(tmp_path, judge, listener):
    for index in range(4):
        write_track(tmp_path / "songs" / f"song {index}", tone_stems(index), with_mixture=False)
    stems = tone_stems(9)
    stems["drums"][:, 44100:66150] = stems["bass"][:, 44100:66150]
    write_track(tmp_path / "songs" / "song x", stems, with_mixture=False)
    assert clean(tmp_path / "songs", judge, tmp_path / "out", "--stretch-s", "0.5", "--worst", "0") == 0
    with (tmp_path / "out" / "report.csv").open(newline="") as file:
        cuts = [row for row in csv.DictReader(file) if row["decision"] == "silence"]
    assert [(row["track"], row["stem"], row["start_s"], row["end_s"], row["heard_as"]) for row in cuts] == [
        ("song x", "drums", "1", "1.5", "bass")
    ]


def test_origin_and_validation_tracks_go_with_it(dirty, judge, listener, tmp_path):
    assert clean(dirty, judge, tmp_path / "out") == 0
    assert prepare_pack([tmp_path / "out"], tmp_path / "pack", STEMS, SAMPLE_RATE).origin == "label-noise of songs"
    assert [track.name for track in open_tracks(tmp_path / "out", "valid")] == ["song 00", "song 10"]
    other = write_judge(tmp_path / "other", "80 tracks, 9 minutes, from musdb18")
    assert clean(dirty, other, tmp_path / "out-2") == 0
    assert read_origin(tmp_path / "out-2") == "label-noise of songs, musdb18"


def test_stopped_and_resumed(dirty, judge, listener, tmp_path, capsys, monkeypatch):
    real = listener.separate

    def stopped(mixture, sample_rate=None):
        if listener.calls == 10:
            raise KeyboardInterrupt
        return real(mixture, sample_rate)

    monkeypatch.setattr(listener, "separate", stopped)
    out = tmp_path / "out"
    assert clean(dirty, judge, out) == 130
    kept = {path: path.stat().st_mtime_ns for path in (out / "scores").iterdir()}
    assert 0 < len(kept) < 9 and not (out / "train").exists()
    monkeypatch.setattr(listener, "separate", real)
    monkeypatch.setattr(command, "clean_track", stop_at_third(command.clean_track))
    assert clean(dirty, judge, out) == 130
    assert len(list((out / "train").iterdir())) == 2 and not (out / ".unfinished").exists()
    monkeypatch.undo()
    monkeypatch.setattr(command, "load_separator", lambda *_: listener)
    assert clean(dirty, judge, out) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    calls = listener.calls
    assert clean(dirty, judge, out) == 0 and listener.calls == calls
    assert clean(dirty, judge, tmp_path / "whole") == 0
    assert content(out).keys() == content(tmp_path / "whole").keys()
    for name in ("report.csv", "cleaning.json", "origin.txt"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def stop_at_third(real):
    count = []

    def stopped(*arguments):
        count.append(1)
        real(*arguments)
        if len(count) == 3:
            raise KeyboardInterrupt

    return stopped


def test_a_truth_of_another_place(dirty, judge, listener, tmp_path, capsys):
    (dirty / "truth.csv").rename(tmp_path / "elsewhere.csv")
    assert clean(dirty, judge, tmp_path / "out") == 0
    assert "AUC" not in capsys.readouterr().out
    assert clean(dirty, judge, tmp_path / "out", "--truth", str(tmp_path / "elsewhere.csv")) == 0
    assert "AUC" in capsys.readouterr().out
    (tmp_path / "elsewhere.csv").write_text("a,b\n1,2\n")
    assert clean(dirty, judge, tmp_path / "out", "--truth", str(tmp_path / "elsewhere.csv")) == 2
    assert "expected a truth.csv of `models corrupt`" in one_line(capsys)
    assert clean(dirty, judge, tmp_path / "out", "--truth", str(tmp_path / "absent.csv")) == 2
    assert "absent.csv" in one_line(capsys)


def test_misuse_is_one_line(dirty, judge, listener, tmp_path, capsys):
    for more, message in (
        (["--stretch-s", "0.1"], "--stretch-s: expected 0.5 to 600 seconds"),
        (["--worst", "1"], "--worst: expected a share in [0, 1)"),
        (["--worst", "nan"], "--worst: expected a share in [0, 1)"),
    ):
        assert clean(dirty, judge, tmp_path / "out", *more) == 2
        assert message in one_line(capsys)
    assert clean(dirty, tmp_path / "nothing", tmp_path / "out") == 2
    assert "no checkpoint" in one_line(capsys)
    assert clean(dirty, judge, dirty) == 2
    assert "holds other files, and no cleaning.json" in one_line(capsys)
    assert clean(dirty, judge, tmp_path / "out") == 0
    capsys.readouterr()
    assert clean(dirty, judge, tmp_path / "out", "--worst", "0.2") == 2
    assert "was begun with worst 0.3, got 0.2" in one_line(capsys)
    (dirty / "train" / "song 01" / "bass.wav").unlink()
    assert clean(dirty, judge, tmp_path / "out-2") == 2
    assert "'song 01' has no bass" in one_line(capsys)


def test_a_judge_of_unknown_data_or_that_began_with_others(dirty, judge, listener, tmp_path):
    config = json.loads((judge / "config.json").read_text())
    config["info"] |= {"began_with": "small@1a2b3c4d"}
    (judge / "config.json").write_text(json.dumps(config))
    assert clean(dirty, judge, tmp_path / "a") == 0
    assert read_origin(tmp_path / "a") == "label-noise of songs, weights of small@1a2b3c4d"
    (judge / "config.json").write_text(json.dumps({**config, "info": {}}))
    assert clean(dirty, judge, tmp_path / "b") == 0
    assert read_origin(tmp_path / "b") == "label-noise of songs, unknown data of judge"
