"""A search by successive halving from its command line: the same decisions after kills, with more seeds and budget."""

import csv
import json
import subprocess
import sys
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


@pytest.mark.slow
def test_halving_trains_on_and_its_search_can_be_extended(arguments, tmp_path, capsys):
    out = tmp_path / "out"
    given = [*arguments, "--out", str(out), "--budget", "steps=4"]
    assert main([*given, "--dry-run"]) == 0
    assert "rungs, cells at steps: 4 at 2, 2 at 4" in capsys.readouterr().out
    assert main([*given, "--rungs", "4"]) == 2
    assert "--rungs: 4 rungs of steps=4 begin with less than a step" in capsys.readouterr().err
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
    new = sorted((row["status"], row["steps"]) for row in rows if row["seed"] == "1")
    assert new == [("finished", "8"), ("stopped early", "4")]  # the new seed joins in the rung that was the last
    assert sum(row["status"] == "finished" for row in rows) == 2  # both seeds of the best cell
    assert [rung["until"] for rung in json.loads((out / "rungs.json").read_text())] == [2, 4]
    assert main([*more[:-1], "--resume"]) == 0
    twice = [*arguments, "--out", str(out), "--budget", "steps=10", "--seeds", "2", "--extend"]
    assert main(twice) == 0  # the states of the cells that were left behind are gone, and are not needed
    assert sorted(row["status"] for row in rows_in(out)) == ["finished"] * 2 + ["stopped early"] * 4
    more = twice
    capsys.readouterr()
    for change, message in (
        (["--budget", "steps=6"], "--extend: expected at least --budget steps=10"),
        (["--budget", "minutes=8"], "--extend: expected at least --budget steps=10"),
        (["--seeds", "1"], "--extend: expected at least --seeds 2"),
        (["--grid", "train.lr=0.01,0.5"], "--grid: train.lr is given twice"),
    ):
        assert main([*more, *change]) == 2
        assert message in capsys.readouterr().err


KILLS = """
import json, os, random, signal, sys, time
from tuning.__main__ import main

whole, killed, kills, *options = sys.argv[1:]
rng = random.Random(0)

def start(out, *more):
    if child := os.fork():
        return child
    os._exit(main([*options, "--out", out, *more]))

started = time.monotonic()
assert os.waitpid(start(whole), 0)[1] == 0
share_s = (time.monotonic() - started) / 6
done, used = False, 0
while not done:
    child = start(killed, *(["--resume"] if os.path.exists(killed + "/search.yaml") else []))
    if used < int(kills):
        time.sleep(rng.uniform(0, share_s))
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            done = True
        else:
            os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            used += 1
    else:
        status = os.waitpid(child, 0)[1]
        done = True
print(json.dumps([used, os.waitstatus_to_exitcode(status)]))
"""


@pytest.mark.slow
def test_ten_kills_change_neither_rungs_nor_winner(arguments, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = [*arguments, "--budget", "steps=40"]
    command = [sys.executable, "-c", KILLS, str(whole), str(killed), "10", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    used, code = json.loads(done.stdout.splitlines()[-1])
    assert used == 10 and code == 0
    assert json.loads((killed / "rungs.json").read_text()) == json.loads((whole / "rungs.json").read_text())
    assert scores_in(killed) == scores_in(whole)
