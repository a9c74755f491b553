"""The command ``refine``: trains, cleans and trains again; what is done is not done again."""

import json

import pytest
import yaml

from conftest import TINY, synthetic_stems, write_track
from models.__main__ import main
from models.checkpoints.checkpoint import load_checkpoint
from models.commands import clean
from models.presets.settings import to_mapping
from models.tracks import open_tracks


@pytest.fixture
def arguments(tmp_path):
    """Of a refinement of four short tracks, one of which validates, in four steps each."""
    for index in range(4):
        write_track(tmp_path / "songs" / f"song {index}", synthetic_stems(index, 1.0), with_mixture=False)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(to_mapping(TINY)))
    songs, dirty = str(tmp_path / "songs"), str(tmp_path / "dirty")
    assert main(["corrupt", "--data", songs, "--kind", "label-noise", "--seed", "0", "--out", dirty]) == 0
    options = ["--minutes", "5", "--set", "train.steps=4", "--worst", "0.4", "--stretch-s", "0.5"]
    return ["refine", "--preset", str(tmp_path / "tiny.yaml"), "--data", dirty, *options]


def calls(folder) -> int:
    return len((folder / "calls.jsonl").read_text().splitlines())


def test_trains_cleans_and_trains_again(arguments, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([*arguments, "--out", str(out), "--rounds", "2"]) == 0
    text = capsys.readouterr().out
    assert text.count("4 steps") == 3 and text.count("| all |") == 2
    assert {path.name for path in out.iterdir()} == {"train-0", "clean-1", "train-1", "clean-2", "train-2"}
    for index, judge in ((1, "train-0"), (2, "train-1")):
        settings = json.loads((out / f"clean-{index}" / "cleaning.json").read_text())
        assert settings["data"] == [str(tmp_path / "dirty")] and settings["worst"] == 0.4
        assert settings["checkpoint"] == load_checkpoint(out / judge / "best").identity
        assert len(open_tracks(out / f"clean-{index}", "train")) == 3
    info = load_checkpoint(out / "train-2" / "best").info
    assert info["training_data"].endswith("from label-noise of songs") and info["began_with"] == "nothing"


def test_stopped_anywhere_the_same_command_goes_on(arguments, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def stopped(_):
        raise KeyboardInterrupt

    real = clean.run
    monkeypatch.setattr(clean, "run", stopped)
    assert main([*arguments, "--out", str(out)]) == 130
    weights = (out / "train-0" / "best" / "weights.safetensors").read_bytes()
    monkeypatch.setattr(clean, "run", real)
    assert main([*arguments, "--out", str(out)]) == 0
    assert (out / "train-0" / "best" / "weights.safetensors").read_bytes() == weights
    assert calls(out / "train-0") == 2 and calls(out / "train-1") == 1
    trained = (out / "train-1" / "best" / "weights.safetensors").read_bytes()
    assert main([*arguments, "--out", str(out)]) == 0
    assert (out / "train-1" / "best" / "weights.safetensors").read_bytes() == trained


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--minutes", "0"], "--minutes: expected minutes above 0"),
        (["--rounds", "0"], "--rounds: expected at least 1"),
        (["--set", "train.keep_exampels=0.5"], "did you mean 'train.keep_examples'"),
    ],
)
def test_misuse_is_one_line(arguments, tmp_path, capsys, more, message):
    capsys.readouterr()
    assert main([*arguments, "--out", str(tmp_path / "out"), *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
