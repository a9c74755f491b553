"""`models average` writes the mean of the weights of several runs, validated on validation tracks only."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from conftest import STEMS
from models.__main__ import main
from models.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from models.commands.average import averaged_info
from models.separation.separator import load_separator
from small_checkpoint import MODEL, PRESET

INFO = {
    "name": "last",
    "training_data": "2 tracks",
    "steps": 10,
    "minutes": 2.0,
    "cpu_minutes": 1.5,
    "began_with": "start@0",
    "cpu_minutes_in_all": 11.5,
    "hardware": "one core",
    "valid_sdr": dict.fromkeys(STEMS, 1.0),
}
FOUR_STEMS = replace(PRESET, model=replace(MODEL, stems=STEMS))


def write_run(folder, seed, preset=FOUR_STEMS, **info):
    torch.manual_seed(seed)
    save_checkpoint(folder, preset.build_network().state_dict(), preset, {**INFO, **info}, "a card")
    return folder


@pytest.fixture
def runs(tmp_path):
    return [write_run(tmp_path / name / "last", seed) for seed, name in enumerate("abc")]


def average(runs, data, out, *more):
    return main(["average", *map(str, runs), "--validate", str(data), "--out", str(out), *more])


def test_the_mean_of_the_weights_is_a_checkpoint_with_its_own_score(runs, hq_root, tmp_path, capsys):
    assert average(runs, hq_root, tmp_path / "mean") == 0
    members, mean = [load_file(run / "weights.safetensors") for run in runs], load_checkpoint(tmp_path / "mean")
    for name, value in mean.network.state_dict().items():
        expected = torch.stack([member[name].float() for member in members]).mean(dim=0)
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-6)
    info = mean.info
    assert info["name"] == "mean" and info["validation_data"] == f"1 tracks of {hq_root.name}"
    assert all(f"last@{load_checkpoint(run).identity.split('@')[1]}" in info["mean_of"] for run in runs)
    assert (info["steps"], info["cpu_minutes"], info["cpu_minutes_in_all"]) == (30, 4.5, 14.5)
    assert (info["training_data"], info["began_with"]) == ("2 tracks", "start@0")
    printed = capsys.readouterr().out
    assert printed.count("| last@") == 3 and "| mean of weights | " in printed
    card = (tmp_path / "mean" / "README.md").read_text()
    assert (
        "averaged by `python -m models average`" in card and f"{np.mean(list(info['valid_sdr'].values())):.2f}" in card
    )
    data, pack = tmp_path / "pack", tmp_path / "mean2"
    assert main(["prepare", "--data", str(hq_root), "--out", str(data)]) == 0
    assert average(runs, data, pack, "--set", "separate.shifts=2") == 0
    again = load_checkpoint(pack)
    assert again.preset.separate.shifts == 2 and again.info["valid_sdr"] != info["valid_sdr"]
    assert load_separator(str(pack)).settings.shifts == 2


def test_the_score_is_that_of_the_stored_weights(runs, hq_root, tmp_path):
    assert average(runs[:2], hq_root, tmp_path / "one") == 0
    assert average([tmp_path / "one", runs[2]], hq_root, tmp_path / "two") == 0
    first = load_checkpoint(tmp_path / "one").info["valid_sdr"]
    second = load_checkpoint(tmp_path / "two").info
    assert set(first) == set(STEMS) and all(np.isfinite(list(first.values())))
    assert "one@" in second["mean_of"] and second["cpu_minutes_in_all"] == 14.5


def test_minutes_before_the_runs_count_once_for_each_beginning():
    other = {**INFO, "began_with": "nothing", "cpu_minutes_in_all": 1.5, "hardware": "two cores", "teacher": "small"}
    info = averaged_info([INFO, INFO, other])
    assert info["cpu_minutes_in_all"] == 10 + 3 * 1.5
    assert info["began_with"] == "start@0; nothing" and info["hardware"] == "one core; two cores"
    assert info["teacher"] == "small"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda runs, other: runs[:1], "expected two or more checkpoints, got last@"),
        (lambda runs, other: [runs[0], other], "expected one network, got model.hidden 4 in last@"),
        (lambda runs, other: [runs[0], runs[1], runs[0]], "expected different weights, got those of last@"),
        (lambda runs, other: [runs[0], "missing"], "no checkpoint 'missing'"),
        (lambda runs, other: [*runs, "--set", "train.lr=1"], "train.lr is fixed by the checkpoints"),
        (lambda runs, other: [*runs, "--set", "separate.shifts=0"], "separate.shifts"),
    ],
)
def test_what_has_no_mean_is_refused_in_one_line(runs, hq_root, tmp_path, capsys, change, message):
    other = write_run(tmp_path / "wide", 3, replace(FOUR_STEMS, model=replace(FOUR_STEMS.model, hidden=6)))
    assert average(change(runs, other), hq_root, tmp_path / "mean") == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert not (tmp_path / "mean").exists()


def test_other_checkpoints_and_existing_ones_are_refused(runs, hq_root, tmp_path, capsys):
    imported = write_run(tmp_path / "imported", 5)
    config = json.loads((imported / "config.json").read_text())
    del config["info"]["valid_sdr"]
    (imported / "config.json").write_text(json.dumps(config))
    for members, out, message in (
        ([imported, runs[0]], "mean", "imported@"),
        ([runs[0], imported], "mean", "imported@"),
        (runs, "a/last", "is a checkpoint already"),
    ):
        assert average(members, hq_root, tmp_path / out) == 2
        assert message in capsys.readouterr().err


def test_data_without_validation_tracks_is_refused(runs, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert average(runs, tmp_path / "empty", tmp_path / "mean") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
