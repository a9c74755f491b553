"""A search by successive halving from its command line: the same decisions after kills, with more seeds and budget."""

import csv
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from conftest import TINY
from models.__main__ import main as models_main
from models.presets.settings import override, to_mapping
from models.running.repository import ROOT
from tuning.__main__ import main

RATES = "train.lr=0.01,0.003,1e-9,2e-9"


@pytest.fixture
def arguments(hq_root: Path, tmp_path: Path) -> list[str]:
    """The arguments of a search of four cells in this process, without its folder."""
    preset, pack = tmp_path / "tiny.yaml", tmp_path / "pack"
    preset.write_text(yaml.safe_dump(to_mapping(override(TINY, {"data.crop_s": "0.1"}))))
    assert models_main(["prepare", "--data", str(hq_root), "--out", str(pack)]) == 0
    common = ["run", "--preset", str(preset), "--data", str(pack), "--grid", RATES, "--validations", "1"]
    return [*common, "--scheduler", "halving", "--eta", "2", "--backend", "local"]


def rows_in(out: Path) -> list[dict[str, str]]:
    with (out / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def scores_in(out: Path) -> list[tuple[str, ...]]:
    """What a search has found, without times."""
    return [
        tuple(row[name] for name in ("trial", "train.lr", "seed", "sdr", "steps", "status")) for row in rows_in(out)
    ]


def calls_in(out: Path) -> list[int]:
    return [len(path.read_text().splitlines()) for path in sorted(out.glob("trial-*/calls.jsonl"))]


def test_halving_trains_on_and_its_search_can_be_extended(arguments, tmp_path, capsys):
    out = tmp_path / "out"
    given = [*arguments, "--out", str(out), "--budget", "steps=4"]
    assert main(given) == 0
    assert [(row["status"], row["steps"]) for row in rows_in(out)] == [
        *[("finished", "4")] * 2,
        *[("stopped early", "2")] * 2,
    ]
    assert [rung["until"] for rung in json.loads((out / "rungs.json").read_text())] == [2]
    assert calls_in(out) == [2, 2, 1, 1]
    summary = (out / "summary.md").read_text()
    assert "## Rungs" in summary and "| steps=2 | 4 | 2 |" in summary and "2 finished, 2 stopped early" in summary
    assert main([*given, "--resume"]) == 0
    assert calls_in(out) == [2, 2, 1, 1]  # nothing is left to do
    more = [*arguments, "--out", str(out), "--budget", "steps=8", "--seeds", "2", "--extend"]
    assert main(more) == 0
    rows = rows_in(out)
    assert [(row["seed"], row["status"], row["steps"]) for row in rows if row["seed"] == "1"] == [
        ("1", "finished", "8")
    ]
    assert sum(row["status"] == "finished" for row in rows) == 2  # both seeds of the best cell
    assert [rung["until"] for rung in json.loads((out / "rungs.json").read_text())] == [2, 4]
    assert main([*more[:-1], "--resume"]) == 0
    capsys.readouterr()
    for change, message in (
        (["--budget", "steps=6"], "--extend: expected at least --budget steps=8"),
        (["--budget", "minutes=8"], "--extend: expected at least --budget steps=8"),
        (["--seeds", "1"], "--extend: expected at least --seeds 2"),
        (["--grid", "train.lr=0.01,0.5"], "--grid: train.lr is given twice"),
    ):
        assert main([*more, *change]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.slow
def test_ten_kills_change_neither_rungs_nor_winner(arguments, tmp_path):
    options = [*arguments, "--budget", "steps=160"]
    assert main([*options, "--out", str(tmp_path / "whole")]) == 0
    out, rng, kills = tmp_path / "killed", random.Random(0), 0
    command = [sys.executable, "-m", "tuning", *options, "--out", str(out)]
    while True:
        resume = ["--resume"] if (out / "search.yaml").exists() else []
        process = subprocess.Popen([*command, *resume], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        if kills < 10:
            assert process.stderr is not None
            for line in process.stderr:  # until it trains: a kill while it starts would test nothing
                if line.startswith("trial-"):
                    break
            time.sleep(rng.uniform(0, 1.5))
        if kills == 10 or process.poll() is not None:
            process.communicate()
            break
        process.kill()
        process.communicate()
        kills += 1
    assert kills >= 5 and process.returncode == 0
    assert json.loads((out / "rungs.json").read_text()) == json.loads((tmp_path / "whole" / "rungs.json").read_text())
    assert scores_in(out) == scores_in(tmp_path / "whole")
