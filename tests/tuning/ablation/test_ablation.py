"""Ablations: valid and invalid files, and one real table."""

import contextlib
import io
import subprocess
import types

import pytest
import yaml

from conftest import SAMPLE_RATE, STEMS, TINY
from models.__main__ import main as models_main
from models.presets.preset import load_preset
from models.presets.settings import to_mapping
from models.running.folder_lock import sole_writer
from models.running.repository import ROOT
from models.training.data.packs import prepare_pack
from tuning.__main__ import main
from tuning.ablation import ablation
from tuning.ablation.ablation import Run, read_ablation
from tuning.ablation.table import ablation_table

SHIPPED = sorted((ROOT / "tuning/ablation").glob("ablation*.yaml"))


def write(path, content):
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_ablations_of_the_package_are_valid(path):
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
def test_invalid_files_are_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_ablation(write(tmp_path / "ablation.yaml", content))


@pytest.fixture
def ablate(hq_root, tmp_path):
    """Ablate rows of TINY, three steps each, in `tmp_path / "out"`."""
    pack = prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)
    preset = write(tmp_path / "tiny.yaml", to_mapping(TINY))

    def run(rows, *more):
        content = {"preset": str(preset), "set": {"train.steps": 3}, "rows": rows}
        path = write(tmp_path / "ablation.yaml", content)
        command = ["ablate", str(path), "--data", str(pack.folder), "--out", str(tmp_path / "out"), "--jobs", "1"]
        return main([*command, *more])

    return run


@pytest.fixture
def in_process(monkeypatch):
    """Rows train in this process: another would take seconds to begin."""

    def run(command, **_):
        assert command[1:3] == ["-m", "models"]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
            code = models_main(command[3:])
        return subprocess.CompletedProcess(command, code, "", errors.getvalue())

    monkeypatch.setattr(ablation, "subprocess", types.SimpleNamespace(run=run))


@pytest.mark.slow
def test_each_row_is_trained_in_its_own_process(ablate, tmp_path, capsys):
    assert ablate({"as it is": {}}) == 0
    table = capsys.readouterr().out
    assert table == (tmp_path / "out" / "table.md").read_text()
    lines = table.splitlines()
    assert lines[0].startswith("| change | steps | processor minutes | loss | vocals | drums | mean | gain |")
    assert lines[2].startswith("| as it is | 3 | ")


def test_the_same_command_resumes_the_rows(ablate, in_process, tmp_path, capsys):
    rows = {"as it is": {}, "Adam": {"train.optimizer": "adam"}}
    assert ablate(rows) == 0
    before = capsys.readouterr().out.splitlines()
    assert before[3].startswith("| Adam | 3 | ")
    assert ablate(rows | {"Muon at 0.02": {"train.lr": 0.02}}) == 0
    after = capsys.readouterr().out.splitlines()
    assert after[:4] == before[:4] and after[4].startswith("| Muon at 0.02 | 3 | ")
    assert len((tmp_path / "out" / "adam" / "metrics.csv").read_text().splitlines()) == 2  # trained once


@pytest.mark.slow
def test_a_failed_row_does_not_stop_the_others(ablate, in_process, tmp_path, capsys):
    rows = {"as it is": {}, "breaks": {"train.lr": 1e30}, "Adam": {"train.optimizer": "adam"}}
    assert ablate(rows, "--seeds", "2") == 1
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[2].startswith("| as it is | 3 | ") and lines[3].startswith("| breaks | failed | |")
    assert " ± " in lines[4] and lines[6].startswith("Means of 2 seeds")
    assert "- breaks, seed 0 failed: step " in captured.out and "- breaks, seed 1 failed: step " in captured.out
    assert captured.out == (tmp_path / "out" / "table.md").read_text()
    seeds = [load_preset(str(tmp_path / "out" / name / "config.yaml")).train.seed for name in ("adam", "adam.seed-1")]
    assert seeds == [0, 1]


def test_a_row_whose_process_is_killed_says_so(ablate, monkeypatch, capsys):
    killed = types.SimpleNamespace(run=lambda command, **_: subprocess.CompletedProcess(command, -9, "", ""))
    monkeypatch.setattr(ablation, "subprocess", killed)
    assert ablate({"as it is": {}}) == 1
    assert "- as it is, seed 0 failed: was ended by signal 9 (SIGKILL), perhaps" in capsys.readouterr().out


def test_an_ablation_is_the_only_writer_of_its_folder(ablate, tmp_path, capsys):
    with sole_writer(tmp_path / "out"):
        assert ablate({"as it is": {}}) == 2
    assert "is writing there" in capsys.readouterr().err
    assert ablate({"as it is": {}}, "--seeds", "0") == 2
    assert "--seeds: expected at least 1, got 0" in capsys.readouterr().err
    assert ablate({"as it is": {}, "breaks": {"data.sources": ["vocals", "drums", "bass"]}}) == 2
    assert "data.sources" in capsys.readouterr().err


def runs(*seeds):
    """A row whose seeds have these validation SDRs; one that is None failed."""
    return [
        Run(error="why")
        if sdr is None
        else Run({"step": 9, "cpu_minutes": 1, "loss": 0.5, "valid_sdr": sdr, "valid_vocals": sdr})
        for sdr in seeds
    ]


def test_with_one_seed_the_table_says_that_gains_may_be_chance():
    lines = ablation_table(["as it is", "Adam"], [runs(2.0), runs(1.25)]).splitlines()
    assert lines[2].endswith("| 2.00 |  |") and lines[3].endswith("| 1.25 | -0.75 |")
    assert lines[5].startswith("Each row has one seed, so the spread between seeds is unknown") and len(lines) == 6


def test_gains_have_an_interval_and_are_bold_outside_it():
    table = ablation_table(["as it is", "Adam", "Muon"], [runs(1.9, 2.1), runs(1.15, 1.35), runs(2.1, 2.3)])
    first, second, third = table.splitlines()[2:5]
    # Studentised range for 3 means and 3 degrees of freedom at 5 %: 5.910 in the published tables; 0.1 dB of a mean.
    assert first.endswith("| 2.00 |  |")
    assert second.endswith("| 1.25 | **-0.75 ± 0.59** |") and third.endswith("| 2.20 | +0.20 ± 0.59 |")
    assert "standard deviation of 0.14 dB" in table


def test_a_failed_seed_removes_only_its_row():
    table = ablation_table(["as it is", "lucky", "Muon"], [runs(1.9, 2.1), runs(5.5, None), runs(2.1, 2.3)])
    assert "| lucky | failed |" in table and "5.5" not in table and "- lucky, seed 1 failed: why" in table
    assert "+0.20 ± " in table
    without_first = ablation_table(["as it is", "Muon"], [runs(None), runs(2.1)])
    assert without_first.splitlines()[3].endswith("| 2.10 |  |")
    nothing = ablation_table(["as it is"], [runs(None, None)])
    assert "No row is complete." in nothing and "| as it is | failed |" in nothing
