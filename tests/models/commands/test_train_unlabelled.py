"""The command ``train --unlabelled``: from songs to a model card, resumed after every kind of end."""

import csv
import dataclasses
import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from unlabelled_songs import write_song

from conftest import TINY, synthetic_stems, write_track
from models.__main__ import main
from models.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from models.running.repository import ROOT
from models.training.data.origin import data_names


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folder of data, two songs without stems, random weights that begin a run of eight steps, and such a run."""
    torch.set_num_threads(1)  # as the tests: another number adds in another order
    tmp_path = tmp_path_factory.mktemp("unlabelled")
    for index in range(2):
        write_track(tmp_path / "data" / f"track {index}", synthetic_stems(index, 1.0), with_mixture=False)
        song = np.sum(list(synthetic_stems(10 + index, 7.0).values()), axis=0)
        write_song(tmp_path / "songs" / "album" / f"song {index}.wav", song)
    preset = dataclasses.replace(TINY, train=dataclasses.replace(TINY.train, steps=8, validate_every=3))
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "net", preset.build_network().state_dict(), preset, {"cpu_minutes": 1.0}, "")
    assert begin(tmp_path, tmp_path / "whole") == 0
    return tmp_path


def options(place, with_songs=True):
    songs = ["--unlabelled", str(place / "songs")] if with_songs else []
    return ["train", "--data", str(place / "data"), *songs]


def begin(place, out, *more, with_songs=True):
    return main([*options(place, with_songs), "--out", str(out), "--init", str(place / "net"), *more])


def resume(place, out, *more, with_songs=True):
    preset = shutil.copy(out / "config.yaml", out / "again.yaml")
    return main([*options(place, with_songs), "--out", str(out), "--preset", str(preset), "--resume", *more])


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return [{name: row[name] for name in ("step", "loss", "valid_sdr")} for row in csv.DictReader(file)]


def average(folder):
    return torch.load(folder / "last.pt", weights_only=True)["average"]


def same_run(first, second):
    return rows(first) == rows(second) and all(
        torch.equal(a, b) for a, b in zip(average(first).values(), average(second).values(), strict=True)
    )


def test_a_run_says_what_it_learns_from_and_is_the_same_again(place, tmp_path, capsys):
    assert begin(place, tmp_path / "again") == 0
    said = capsys.readouterr()
    assert "2 songs without stems" in said.err and "8 steps" in said.out
    assert same_run(place / "whole", tmp_path / "again")
    info = load_checkpoint(tmp_path / "again" / "best").info
    assert info["unlabelled_songs"] == "2 songs, 0.2 minutes with activity: album/song 0; album/song 1"
    assert data_names(info) == ["data", "songs without stems of songs", "labels of net"]
    assert info["teacher"] in (tmp_path / "again" / "best" / "README.md").read_text()
    teachers = [line for line in said.err.splitlines() if line.startswith("labelled by")]
    replaced = [path.name for path in (tmp_path / "again/pool/teachers").iterdir()]
    assert len(teachers) > 1 and len(replaced) == 1 and f"labelled by {replaced[0]}@" in teachers[-1]


@pytest.mark.slow
def test_the_share_and_the_songs_make_a_difference(place, tmp_path):
    assert begin(place, tmp_path / "all", "--unlabelled-share", "1") == 0
    assert begin(place, tmp_path / "none", with_songs=False) == 0
    assert rows(tmp_path / "none") != rows(place / "whole") != rows(tmp_path / "all")
    assert "unlabelled_songs" not in load_checkpoint(tmp_path / "none" / "best").info


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


@pytest.mark.parametrize(
    ("where", "number"),
    [
        pytest.param("labelling", 2, marks=pytest.mark.slow),
        pytest.param("labelling", 4, marks=pytest.mark.slow),
        ("training", 5),
    ],
)
def test_kill_9_loses_a_part_or_what_was_not_saved(place, tmp_path, where, number):
    out = tmp_path / "run"
    arguments = [*options(place), "--out", str(out), "--init", str(place / "net"), "--threads", "1"]
    command = [sys.executable, "-c", KILLED, where, str(number), str(ROOT), str(ROOT / "tests"), *arguments]
    assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == -signal.SIGKILL
    has_begun = (out / "last.pt").exists()
    assert has_begun == ((where, number) != ("labelling", 2))
    assert len(list((out / "pool" / "parts").iterdir())) == (4 if has_begun else 2)
    assert (resume if has_begun else begin)(place, out) == 0
    assert same_run(out, place / "whole")


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
def test_refusals_are_one_line_and_come_before_any_work(place, tmp_path, capsys, change, message):
    change = [text.format(songs=place / "songs") for text in change]
    assert begin(place, tmp_path / "run", *change) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and not (tmp_path / "run" / "pack").exists()


def test_options_that_need_others_say_so(place, tmp_path, capsys):
    tiny = ["--preset", "tiny", "--out", str(tmp_path / "run")]
    assert main([*options(place), *tiny]) == 2
    assert "--unlabelled: expected --init, the weights that the student begins with" in capsys.readouterr().err
    for option in (["--teacher", "small"], ["--unlabelled-share", "0.5"]):
        assert main([*options(place, with_songs=False), *tiny, *option]) == 2
        assert "--teacher and --unlabelled-share: expected --unlabelled with them" in capsys.readouterr().err


def test_a_run_is_resumed_with_the_songs_and_teachers_it_began_with(place, tmp_path, capsys):
    out = shutil.copytree(place / "whole", tmp_path / "run")
    settings = json.loads((out / "pool" / "settings.json").read_text())
    assert sorted(settings["songs"].values()) == ["album/song 0", "album/song 1"] and settings["share"] == 0.5
    assert begin(place, out, "--unlabelled-share", "0.4") == 2  # refused, and nothing is written over
    assert "holds a run already" in capsys.readouterr().err
    assert json.loads((out / "pool" / "settings.json").read_text()) == settings
    longer = ["--set", "train.steps=9"]
    for more, with_songs, message in (
        ([], False, "learns from songs without stems; add its --unlabelled"),
        (["--unlabelled-share", "0.4"], True, "share was 0.5 and is 0.4 now"),
        (["--teacher", str(place / "whole" / "best")], True, "teachers was ['vocals,drums="),
        (["--unlabelled", str(place / "songs/album/song 0.wav")], True, "'album/song 1' is not there or was changed"),
    ):
        assert resume(place, out, *longer, *more, with_songs=with_songs) == 2
        assert message in capsys.readouterr().err
    assert resume(place, out, *longer) == 0


def test_a_run_without_songs_cannot_be_resumed_with_them(place, tmp_path, capsys):
    out = shutil.copytree(place / "whole", tmp_path / "run")
    shutil.rmtree(out / "pool")
    assert resume(place, out) == 2
    assert "began without --unlabelled; leave it out" in capsys.readouterr().err


def test_a_run_that_failed_before_its_first_step_leaves_no_songs_to_the_next(place, tmp_path, capsys):
    out = tmp_path / "run"
    write_song(tmp_path / "silent" / "song.wav", np.zeros((2, 9000), np.float32))
    arguments = ["--data", str(place / "data"), "--out", str(out), "--init", str(place / "net")]
    assert main(["train", *arguments, "--unlabelled", str(tmp_path / "silent")]) == 2
    assert "expected a song with activity" in capsys.readouterr().err
    assert begin(place, out, with_songs=False) == 0
    assert resume(place, out, "--set", "train.steps=9", with_songs=False) == 0
