"""Ablations: what a file may say, and one real table."""

from pathlib import Path

import pytest
import yaml

from conftest import SAMPLE_RATE, STEMS, TINY
from models.config import to_mapping
from models.training.packs import prepare_pack
from tuning.__main__ import main
from tuning.ablation import ablation_table, read_ablation

SHIPPED = sorted((Path(__file__).parents[1] / "tuning").glob("ablation*.yaml"))


def write(path, content):
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_ablations_that_ship_hold(path):
    rows = read_ablation(path)
    assert len(rows) > 3
    assert all(row.preset != rows[0].preset for row in rows[1:])  # each changes something


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"rows": {}}, "rows: expected one or more"),
        ({"rows": {"a b": {}, "a-b": {}}}, "rows: expected different names, got a b, a-b"),
        ({"rows": {"a": {}}, "budget": 3}, "expected preset, init, set and rows, got 'budget'"),
        ({"rows": {"a": {"train.lrr": 1}}}, "did you mean 'train.lr'"),
        ({"preset": "smal", "rows": {"a": {}}}, "did you mean 'small'"),
    ],
)
def test_what_a_file_may_not_say(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_ablation(write(tmp_path / "ablation.yaml", content))


def test_a_table_is_trained_and_goes_on_where_it_was(hq_root, tmp_path, capsys):
    pack = prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)
    preset = write(tmp_path / "tiny.yaml", to_mapping(TINY))
    rows = {"as it is": {}, "Adam": {"train.optimizer": "adam"}}
    content = {"preset": str(preset), "set": {"train.steps": 3}, "rows": rows}
    path = write(tmp_path / "ablation.yaml", content)
    command = ["ablate", str(path), "--data", str(pack.folder), "--out", str(tmp_path / "out"), "--jobs", "1"]
    assert main(command) == 0
    table = capsys.readouterr().out
    assert table == (tmp_path / "out" / "table.md").read_text()
    lines = table.splitlines()
    assert lines[0].startswith("| change | steps | processor minutes | loss | vocals | drums | mean | gain |")
    assert lines[2].startswith("| as it is | 3 | ") and lines[3].startswith("| Adam | 3 | ")
    state = tmp_path / "out" / "adam" / "last.pt"
    rows["Muon at 0.02"] = {"train.lr": 0.02}
    write(path, content)
    assert main(command) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5 and state.exists()
    rows["breaks"] = {"data.sources": ["vocals", "drums", "bass"]}
    write(path, content)
    assert main(command) == 2
    assert "data.sources" in capsys.readouterr().err


def test_gains_are_on_the_first_row():
    rows = read_ablation(SHIPPED[0])[:2]
    values = [{"step": 9, "cpu_minutes": 1, "loss": 0.5, "valid_sdr": sdr, "valid_vocals": sdr} for sdr in (2.0, 1.25)]
    first, second = ablation_table(rows, values).splitlines()[2:]
    assert first.endswith("| 2.00 |  |") and second.endswith("| 1.25 | -0.75 |")
