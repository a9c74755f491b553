"""`models list` shows what is installed, with what the model cards say."""

import pytest

from models.__main__ import main
from models.checkpoints.checkpoint import CHECKPOINT_FOLDER, save_checkpoint
from models.commands import list_checkpoints
from models.commands.list_checkpoints import read_licence, read_scores
from small_checkpoint import INFO, PRESET, make_weights

STEMS = ("vocals", "bass")
CARD = """| | vocals | bass | mean |
|---|--:|--:|--:|
| global SDR | 5.08 | 3.92 | 4.50 |

Licence of the weights: CC BY-NC-SA 4.0, because of the music.
"""


def rows(capsys) -> dict[str, str]:
    assert main(["list"]) == 0
    return {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}


def test_what_ships(capsys):
    shown = rows(capsys)
    assert {folder.name for folder in CHECKPOINT_FOLDER.iterdir()} <= set(shown)
    for part in ("vocals, drums, bass, other", "3.9 M", "7.8 MB", "mean 4.15 (test, global SDR)", "CC BY-NC-SA 4.0"):
        assert part in shown["small"]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    monkeypatch.setattr(list_checkpoints, "CHECKPOINT_FOLDER", tmp_path)
    save_checkpoint(tmp_path / "mine", make_weights(), PRESET, {**INFO, "valid_sdr": {"vocals": 1.5, "bass": 2.5}}, "")
    return tmp_path


def test_one_of_your_own(installed, capsys):
    line = rows(capsys)["mine"]
    for part in ("vocals, bass", "0.0 M", "vocals 1.50, bass 2.50, mean 2.00 (validation, global SDR)", "none stated"):
        assert part in line


def test_a_damaged_one_does_not_hide_the_others(installed, capsys):
    (installed / "broken").mkdir()
    (installed / "broken" / "config.json").write_text("{")
    shown = rows(capsys)
    assert "not a checkpoint's configuration" in shown["broken"] and "vocals, bass" in shown["mine"]


def test_scores_come_from_the_card_then_the_authors_then_validation():
    published = {"published": {"vocals": 9.0, "bass": 8.0}, "published_metric": "cSDR on X"}
    info = {"valid_sdr": {"vocals": 1.0, "bass": 2.0}}
    assert read_scores(CARD, info | published, STEMS) == ({"vocals": 5.08, "bass": 3.92}, "test, global SDR")
    assert read_scores("", info | published, STEMS) == ({"vocals": 9.0, "bass": 8.0}, "published, cSDR on X")
    assert read_scores("", info, STEMS) == ({"vocals": 1.0, "bass": 2.0}, "validation, global SDR")
    assert read_scores("", {}, STEMS) is None


def test_licence():
    assert read_licence(CARD, {}) == "CC BY-NC-SA 4.0"
    assert read_licence("", {"licence": "MIT"}) == "MIT"
    assert read_licence("", {}) == "none stated"
