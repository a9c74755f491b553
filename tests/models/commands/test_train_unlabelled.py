"""The command ``train --unlabelled``: from songs to a model card, resumed after every kind of end."""

import csv
import dataclasses
import json
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from unlabelled_songs import write_song

from conftest import TINY, synthetic_stems, write_track
from models.__main__ import main
from models.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from models.running.repository import ROOT
from models.training.data.origin import data_names


@pytest.fixture
def arguments(tmp_path):
    """Of a run of eight steps from random weights, validated every three, with two songs without stems."""
    for index in range(2):
        write_track(tmp_path / "data" / f"track {index}", synthetic_stems(index, 1.0), with_mixture=False)
        song = np.sum(list(synthetic_stems(10 + index, 7.0).values()), axis=0)
        write_song(tmp_path / "songs" / "album" / f"song {index}.wav", song)
    preset = dataclasses.replace(TINY, train=dataclasses.replace(TINY.train, steps=8, validate_every=3))
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "net", preset.build_network().state_dict(), preset, {"cpu_minutes": 1.0}, "")
    return ["train", "--data", str(tmp_path / "data"), "--unlabelled", str(tmp_path / "songs")]


def begin(arguments, tmp_path, out="run", *more):
    return main([*arguments, "--out", str(tmp_path / out), "--init", str(tmp_path / "net"), *more])


def resume(arguments, tmp_path, out="run", *more):
    preset = tmp_path / "again.yaml"
    preset.write_text(yaml.safe_dump(yaml.safe_load((tmp_path / out / "config.yaml").read_text())))
    return main([*arguments, "--out", str(tmp_path / out), "--preset", str(preset), "--resume", *more])


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return [{name: row[name] for name in ("step", "loss", "valid_sdr")} for row in csv.DictReader(file)]


def average(folder):
    return torch.load(folder / "last.pt", weights_only=True)["average"]


def same_run(first, second):
    return rows(first) == rows(second) and all(
        torch.equal(a, b) for a, b in zip(average(first).values(), average(second).values(), strict=True)
    )


def parts(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "pool" / "parts").iterdir()}


def test_a_run_says_what_it_learns_from_and_is_the_same_again(arguments, tmp_path, capsys):
    assert begin(arguments, tmp_path) == 0
    said = capsys.readouterr()
    assert "2 songs without stems" in said.err and "8 steps" in said.out
    info = load_checkpoint(tmp_path / "run" / "best").info
    assert info["unlabelled_songs"] == "2 songs, 0.2 minutes with activity: album/song 0; album/song 1"
    assert data_names(info) == ["data", "songs without stems of songs", "labels of net"]
    assert info["teacher"] in (tmp_path / "run" / "best" / "README.md").read_text()
    teachers = [line for line in said.err.splitlines() if line.startswith("labelled by")]
    replaced = [path.name for path in (tmp_path / "run/pool/teachers").iterdir()]
    assert len(teachers) > 1 and len(replaced) == 1 and f"labelled by {replaced[0]}@" in teachers[-1]
    assert begin(arguments, tmp_path, "again") == 0
    assert same_run(tmp_path / "run", tmp_path / "again")
    assert begin(arguments, tmp_path, "all", "--unlabelled-share", "1") == 0
    assert begin(arguments[:3], tmp_path, "without") == 0
    assert rows(tmp_path / "without") != rows(tmp_path / "run") != rows(tmp_path / "all")
    assert "unlabelled_songs" not in load_checkpoint(tmp_path / "without" / "best").info


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[3:5]
from models.pseudo import pool
from models.training.step import TrainingStep
from models.training import clock
where, number = sys.argv[1], int(sys.argv[2])
count = [0]
def counted(original):
    def call(*args):
        count[0] += 1
        if count[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args)
    return call
clock.SAVE_EVERY_S = 0.0
if where == "labelling":
    pool._write_part = counted(pool._write_part)
else:
    TrainingStep.take = counted(TrainingStep.take)
from models.__main__ import main
main(sys.argv[5:])
"""


@pytest.mark.parametrize(("where", "number"), [("labelling", 2), ("labelling", 4), ("training", 5)])
def test_kill_9_loses_a_part_or_what_was_not_saved(arguments, tmp_path, where, number):
    assert begin(arguments, tmp_path, "whole") == 0
    options = [*arguments, "--out", str(tmp_path / "run"), "--init", str(tmp_path / "net")]
    command = [sys.executable, "-c", KILLED, where, str(number), str(ROOT), str(ROOT / "tests"), *options]
    assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == -signal.SIGKILL
    before = parts(tmp_path / "run")
    if (where, number) == ("labelling", 2):  # training has not begun
        assert len(before) == 2 and begin(arguments, tmp_path) == 0
    else:
        assert len(before) == 4 and begin(arguments, tmp_path) == 2
        assert resume(arguments, tmp_path) == 0
    assert same_run(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--teacher", "nothing"], "--teacher: expected the name or folder of a checkpoint, or a folder of estimates"),
        (["--unlabelled", "nothing"], "--unlabelled: no such file or folder: nothing"),
        (["--teacher", "{songs}"], "songs has no vocals or drums; name another checkpoint or folder"),
        (["--unlabelled-share", "0"], "--unlabelled-share: expected a probability in (0, 1], got 0.0"),
        (["--unlabelled-share", "nan"], "--unlabelled-share: expected a probability in (0, 1], got nan"),
        (["--set", "data.crop_s=7"], "data.crop_s: expected crops within a segment of 6 s"),
    ],
)
def test_refusals_are_one_line_and_come_before_any_work(arguments, tmp_path, capsys, change, message):
    change = [text.format(songs=tmp_path / "songs") for text in change]
    assert begin(arguments, tmp_path, "run", *change) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and not (tmp_path / "run" / "pack").exists()


def test_options_that_need_others_say_so(arguments, tmp_path, capsys):
    tiny = ["--preset", "tiny", "--out", str(tmp_path / "run")]
    assert main([*arguments, *tiny]) == 2
    assert "--unlabelled: expected --init, the weights that the student begins with" in capsys.readouterr().err
    for option in (["--teacher", "small"], ["--unlabelled-share", "0.5"]):
        assert main([*arguments[:3], *tiny, *option]) == 2
        assert "--teacher and --unlabelled-share: expected --unlabelled with them" in capsys.readouterr().err


def test_a_run_is_resumed_with_the_songs_and_teachers_it_began_with(arguments, tmp_path, capsys):
    assert begin(arguments, tmp_path) == 0
    settings = json.loads((tmp_path / "run" / "pool" / "settings.json").read_text())
    assert sorted(settings["songs"].values()) == ["album/song 0", "album/song 1"] and settings["share"] == 0.5
    more = ["--set", "train.steps=9"]
    for change, message in (
        (arguments[:3], "learns from songs without stems; add its --unlabelled"),
        ([*arguments, "--unlabelled-share", "0.4"], "share was 0.5 and is 0.4 now"),
        ([*arguments, "--teacher", "tiny"], "teachers was ['vocals,drums="),
    ):
        assert resume(change, tmp_path, "run", *more) == 2
        assert message in capsys.readouterr().err
    (tmp_path / "songs" / "new.wav").write_bytes((tmp_path / "songs/album/song 0.wav").read_bytes()[:-4000])
    assert resume(arguments, tmp_path, "run", *more) == 2
    assert "the songs without stems are others than before: 'new' is new" in capsys.readouterr().err
    (tmp_path / "songs" / "new.wav").unlink()
    assert resume(arguments, tmp_path, "run", *more) == 0
    assert begin(arguments[:3], tmp_path, "without") == 0
    assert resume(arguments, tmp_path, "without", *more) == 2
    assert "began without --unlabelled; leave it out" in capsys.readouterr().err
