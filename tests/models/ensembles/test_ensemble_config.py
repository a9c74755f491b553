"""An ensemble's file is read strictly: a mistake is an error of one line that names it."""

import re

import pytest

from models.__main__ import main
from models.ensembles.config import (
    EnsembleConfig,
    StemShares,
    is_ensemble_file,
    member_shares,
    read_ensemble,
    write_ensemble,
)

FOUR = ("vocals", "drums", "bass", "other")


def test_a_written_file_is_read_back(tmp_path):
    config = EnsembleConfig(("small", "tiny"), (StemShares("vocals", (0.75, 0.25)), StemShares("bass", (1.0, 0.0))))
    write_ensemble(tmp_path / "e.yaml", config, "a comment")
    assert (tmp_path / "e.yaml").read_text().splitlines()[:2] == ["# a comment", "checkpoints: [small, tiny]"]
    assert read_ensemble([str(tmp_path / "e.yaml")]) == config


def test_names_are_their_mean():
    assert read_ensemble(["small", "tiny"]) == EnsembleConfig(("small", "tiny"))
    assert read_ensemble(["nothing of this name"]) == EnsembleConfig(("nothing of this name",))  # the loader reports it


def test_a_folder_may_be_called_like_a_file(tmp_path):
    (tmp_path / "run.yaml").mkdir()
    assert is_ensemble_file("e.yaml") and is_ensemble_file("e.yml")
    assert not is_ensemble_file(tmp_path / "run.yaml") and not is_ensemble_file("small")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("checkpoints: [small, tiny", "not valid YAML"),
        ("- small", "expected a mapping of settings, got list"),
        ("weights: []", "missing setting: checkpoints"),
        ("checkpoints: []", "checkpoints: expected at least one, got none"),
        ("checkpoints: [small, small]", "expected different checkpoints, got small small"),
        ("checkpoints: [small]\nweigths: []", "unknown setting 'weigths'; did you mean 'weights'?"),
        ("checkpoints: [small, tiny]\nweights: {vocals: [1, 0]}", "weights: expected a list, got"),
        ("checkpoints: [small, tiny]\nweights: [{stem: bass, shares: 1}]", "weights.0.shares: expected a list, got 1"),
        ("checkpoints: [small, tiny]\nweights: [{stem: bass, shares: [1]}]", "bass: expected 2 shares, one for each"),
        ("checkpoints: [small, tiny]\nweights: [{stem: bass, shares: [1, 1]}]", "bass: expected shares of at least 0"),
        ("checkpoints: [small, tiny]\nweights: [{stem: bass, shares: [2, -1]}]", "bass: expected shares of at least 0"),
        ("checkpoints: [small, tiny]\nweights: [{stem: bass, shares: [.nan, 1]}]", "that add up to 1, got [nan, 1.0]"),
        ("checkpoints: [small, tiny]\nweights: [{stem: bass, shares: []}]", "that add up to 1, got []"),
        (
            "checkpoints: [small, tiny]\nweights: [{stem: bass, shares: [1, 0]}, {stem: bass, shares: [0, 1]}]",
            "weights: expected each stem once, got bass, bass",
        ),
        ("checkpoints: [small, tiny]\nweights: [{stem: piano, shares: [1, 0]}]", "small cannot have a share of 1 in"),
        ("checkpoints: [small, nowhere]", "no checkpoint 'nowhere'"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path, capsys, text, message):
    file = tmp_path / "e.yaml"
    file.write_text(text)
    assert main(["separate", str(tmp_path / "song.wav"), "--out", str(tmp_path), "--checkpoint", str(file)]) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1


def test_other_wrong_commands_are_one_line(tmp_path, capsys):
    (tmp_path / "e.yaml").write_text("checkpoints: [small, tiny]\n")
    file = str(tmp_path / "e.yaml")
    for checkpoints, message in (
        ([str(tmp_path / "absent.yaml")], "absent.yaml"),
        ([file, "small"], "e.yaml is an ensemble: expected no other --checkpoint, got 2"),
        (["small", "small"], "--checkpoint: expected different checkpoints, got small small"),
        (["small", "nowhere"], "no checkpoint 'nowhere'"),
    ):
        command = ["separate", "song.wav", "--out", str(tmp_path)]
        assert main([*command, *(part for name in checkpoints for part in ("--checkpoint", name))]) == 2
        shown = capsys.readouterr().err
        assert message in shown and shown.count("\n") == 1


def test_shares_of_members():
    config = EnsembleConfig(("a", "b"), (StemShares("vocals", (0.3, 0.7)), StemShares("drums", (1.0, 0.0))))
    assert member_shares(config, [FOUR, ("vocals", "bass")]) == [
        {"vocals": 0.3, "drums": 1.0, "bass": 1.0, "other": 1.0},
        {"vocals": 0.7, "bass": 1.0},
    ]
    message = re.escape("weights: b cannot have a share of 0.7 in vocals, it separates drums, bass")
    with pytest.raises(ValueError, match=message):
        member_shares(config, [FOUR, ("drums", "bass")])
