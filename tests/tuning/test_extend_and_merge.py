"""A finished search with more seeds, values and budget, and searches that are joined: nothing is trained again."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from conftest import TINY
from models.__main__ import main as models_main
from models.presets.settings import override, to_mapping
from search_folder import PLAN, write_search
from tuning.__main__ import main
from tuning.trials.records import FAILED, Outcome, read_outcome, write_outcome


@pytest.fixture
def arguments(hq_root: Path, tmp_path: Path) -> list[str]:
    """The arguments of a search in this process, without its grid and folder."""
    preset, pack = tmp_path / "tiny.yaml", tmp_path / "pack"
    preset.write_text(yaml.safe_dump(to_mapping(override(TINY, {"data.crop_s": "0.1"}))))
    assert models_main(["prepare", "--data", str(hq_root), "--out", str(pack)]) == 0
    return ["run", "--preset", str(preset), "--data", str(pack), "--validations", "1", "--backend", "local"]


def rows_in(out: Path) -> list[dict[str, str]]:
    with (out / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def calls_in(out: Path) -> list[int]:
    return [len(path.read_text().splitlines()) for path in sorted(out.glob("trial-*/calls.jsonl"))]


@pytest.mark.slow
def test_values_seeds_and_budget_are_added_to_a_finished_search(arguments, tmp_path, capsys):
    out = tmp_path / "out"
    given = [*arguments, "--out", str(out)]
    assert main([*given, "--grid", "model.hidden=8", "--budget", "steps=2"]) == 0
    (first,) = rows_in(out)
    wider = [*given, "--grid", "model.hidden=4,8", "--seeds", "2"]
    assert main([*wider, "--budget", "steps=2", "--extend"]) == 0
    rows = rows_in(out)
    assert [(row["trial"], row["model.hidden"], row["seed"]) for row in rows] == [
        ("0", "8", "0"),
        ("1", "4", "0"),
        ("2", "4", "1"),
        ("3", "8", "1"),
    ]
    assert rows[0] == first and calls_in(out) == [1, 1, 1, 1]
    assert main([*wider, "--budget", "steps=3", "--extend"]) == 0
    rows = rows_in(out)
    assert {row["steps"] for row in rows} == {"3"} and {row["status"] for row in rows} == {"finished"}
    assert calls_in(out) == [2, 2, 2, 2]
    assert main([*wider, "--budget", "steps=3", "--resume"]) == 0
    assert calls_in(out) == [2, 2, 2, 2]
    more = [*given, "--grid", "model.hidden=4,8,12", "--seeds", "2", "--budget", "steps=3"]
    assert main([*more, "--extend"]) == 0  # a new trial goes through both budgets, as the others did
    assert calls_in(out) == [2, 2, 2, 2, 2, 2]
    assert [row["status"] for row in rows_in(out)] == ["finished"] * 6
    for path in out.glob("trial-*/last.pt"):
        path.unlink()
    assert main([*more[:-1], "steps=5", "--extend"]) == 2
    assert "has no last.pt to train on from" in capsys.readouterr().err
    assert main([*given, "--grid", "model.hidden=4,8", "--seeds", "2", "--budget", "steps=3", "--extend"]) == 2
    assert "12 is missing" in capsys.readouterr().err
    assert main([*given, "--grid", "model.features=4,8", "--seeds", "2", "--budget", "steps=3", "--extend"]) == 2
    assert "--extend: expected the settings model.hidden" in capsys.readouterr().err
    assert main([*more, "--set", "train.clip=1", "--extend"]) == 2
    assert "--extend: train.clip was 5.0" in capsys.readouterr().err


@pytest.mark.slow
def test_two_searches_merge_and_the_missing_trials_are_trained(arguments, tmp_path, capsys):
    one, two, both = (tmp_path / name for name in ("one", "two", "both"))
    given = [*arguments, "--budget", "steps=2"]
    assert main([*given, "--grid", "model.hidden=4,8", "--out", str(one)]) == 0
    assert main([*given, "--grid", "model.hidden=8,12", "--set", "train.seed=1", "--out", str(two)]) == 0
    assert main(["merge", str(one), str(two), "--out", str(both)]) == 0
    rows = rows_in(both)
    assert [(row["model.hidden"], row["seed"]) for row in rows] == [("4", "0"), ("8", "0"), ("8", "1"), ("12", "1")]
    assert [row["sdr"] for row in rows] == [row["sdr"] for out in (one, two) for row in rows_in(out)]
    summary = (both / "summary.md").read_text()
    assert summary.count("1 of 2 seeds finished") == 2
    whole = [*given, "--grid", "model.hidden=4,8,12", "--seeds", "2", "--out", str(both)]
    assert main([*whole, "--resume"]) == 0
    assert calls_in(both) == [1] * 6
    capsys.readouterr()
    for folders, message in (
        ([one], "expected two searches or more"),
        ([one, tmp_path / "none"], "expected the folder of a search"),
    ):
        assert main(["merge", *map(str, folders), "--out", str(tmp_path / "new")]) == 2
        assert message in capsys.readouterr().err
    assert main(["merge", str(one), str(both), str(two), "--out", str(tmp_path / "new")]) == 0
    assert len(rows_in(tmp_path / "new")) == 6  # a trial of several searches is taken once
    capsys.readouterr()
    assert main(["merge", str(one), str(two), "--out", str(both)]) == 2
    assert "--out: expected a new or empty folder" in capsys.readouterr().err
    other = tmp_path / "other"
    assert main([*arguments, "--budget", "steps=3", "--grid", "model.hidden=4", "--out", str(other)]) == 0
    capsys.readouterr()
    assert main(["merge", str(one), str(other), "--out", str(tmp_path / "never")]) == 2
    assert "merge: budget was 'steps=2'" in capsys.readouterr().err
    gap = tmp_path / "gap"
    assert main([*given, "--grid", "model.hidden=4", "--set", "train.seed=5", "--out", str(gap)]) == 0
    capsys.readouterr()
    assert main(["merge", str(one), str(gap), "--out", str(tmp_path / "never")]) == 2
    assert "expected seeds without a gap, got 0, 5" in capsys.readouterr().err


def test_of_a_trial_in_several_searches_the_one_that_came_furthest_is_taken(tmp_path):
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder, until in zip(folders, (2, 4, None), strict=True):
        write_search(folder)
        replace(PLAN, earlier=("steps=2",)).save(folder)
        outcome = read_outcome(folder / "trial-000")
        write_outcome(folder / "trial-000", replace(outcome, until=until) if until else Outcome(FAILED))
    assert main(["merge", *map(str, folders), "--out", str(tmp_path / "all")]) == 0
    assert read_outcome(tmp_path / "all" / "trial-000").until == 4
    assert main(["merge", str(folders[0]), str(folders[2]), "--out", str(tmp_path / "outer")]) == 0
    assert read_outcome(tmp_path / "outer" / "trial-000").until == 2
