"""Packages for a leaderboard: the flags that it asks for, or no package."""

import json
from pathlib import Path

import pytest

from models.presets.preset import ARCHITECTURES
from submission.__main__ import main
from submission.package.build import PEERS, package
from submission.rules.data_flags import FLAGS
from submissions import INFO, write_checkpoint, write_source

KINDS = {"A": "label-noise", "B": "bleeding"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source") / "repository")


def trained_on(folder: Path, kind: str) -> str:
    info = {"training_data": f"9 tracks, 1.0 minutes, from {kind} of songs", "began_with": "nothing"}
    write_checkpoint(folder, info=info)
    return str(folder)


def flags_of(folder: Path) -> list[bool]:
    entry = json.loads((folder / "aicrowd.json").read_text())
    return [entry[flag] for flag in FLAGS]


@pytest.mark.parametrize(("board", "flags"), [("A", [True, False, False]), ("B", [False, True, False])])
def test_the_flags_are_the_boards(source: Path, tmp_path: Path, board: str, flags: list[bool]):
    checkpoint = trained_on(tmp_path / "mine", KINDS[board])
    package(source, tmp_path / "pkg", [checkpoint], board)
    assert flags_of(tmp_path / "pkg") == flags
    # The fallback that the repository ships was trained on more, and would move it to board C.
    assert [path.name for path in (tmp_path / "pkg/checkpoints").iterdir()] == ["mine"]


def test_board_c_takes_all_and_says_what_they_were_trained_on(source: Path, tmp_path: Path):
    package(source, tmp_path / "pkg", [], "C")
    assert flags_of(tmp_path / "pkg") == [False, False, True]


@pytest.mark.parametrize("board", ["A", "B"])
def test_a_forbidden_checkpoint_makes_no_package(source: Path, tmp_path: Path, board: str):
    other = trained_on(tmp_path / "other", KINDS["B" if board == "A" else "A"])
    write_checkpoint(tmp_path / "clean", info=INFO)
    for checkpoints in ([other], [str(tmp_path / "clean")], []):
        with pytest.raises(ValueError, match=f"--board {board}: takes weights trained on the {KINDS[board]} set alone"):
            package(source, tmp_path / "pkg", checkpoints, board)
        assert not (tmp_path / "pkg").exists()


def test_the_command_passes_the_board_on_and_refuses_in_one_line(source, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("models.running.repository.ROOT", source)
    assert main(["package", "--out", str(tmp_path / "pkg"), "--board", "A"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--board A" in line and "toy was trained on musdb18-7, music-delta" in line
    checkpoint = trained_on(tmp_path / "mine", "label-noise")
    assert main(["package", "--out", str(tmp_path / "pkg"), "--board", "A", "--checkpoint", checkpoint]) == 0
    assert flags_of(tmp_path / "pkg") == [True, False, False]


def test_all_architectures_of_other_packages_are_known():
    peers = {name for name, (config, _) in ARCHITECTURES.items() if config.__module__.startswith("models.peers")}
    assert set(PEERS) == peers
