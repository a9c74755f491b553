"""The search from its command line: checks before anything starts, one real grid on Ray, one row for each trial."""

import csv
from pathlib import Path

import pytest
import yaml

from models.config import override, to_mapping
from models.preset import load_preset
from tuning.__main__ import main

TINY = {
    "model.n_fft": "1024",
    "model.hop": "512",
    "model.bands": "1k:20k",
    "model.features": "4",
    "model.hidden": "4",
    "model.layers": "1",
    "data.crop_s": "0.5",
    "train.batch": "2",
    "train.validate_every": "2",
}


@pytest.fixture
def preset_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(to_mapping(override(load_preset("small"), TINY))))
    return path


def test_dry_run_lists_trials_and_starts_none(preset_file: Path, hq_root: Path, tmp_path: Path, capsys):
    out = tmp_path / "out"
    arguments = ["run", "--preset", str(preset_file), "--data", str(hq_root), "--out", str(out), "--budget", "steps=2"]
    assert main([*arguments, "--grid", "model.hop=256,2048", "--grid", "model.hidden=4,8", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "2 trials, steps=2 each" in printed
    assert printed.count("left out: model.hop=2048") == 2
    assert "model.hop=256 model.hidden=8" in printed
    assert not out.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--grid": "model.hiden=4,8"}, "did you mean 'model.hidden'"),
        ({"--budget": "hours=2"}, "--budget: expected steps=N or minutes=M"),
        ({"--data": "/nowhere/at/all"}, "/nowhere/at/all"),
        ({"--preset": "smal"}, "did you mean 'small'"),
        ({"--cpus-per-trial": "4096"}, "--cpus-per-trial: expected 1 to"),
        ({"--out": "FULL"}, "expected a new or empty folder"),
    ],
)
def test_user_errors_are_one_line(
    changes: dict[str, str], message: str, preset_file: Path, hq_root: Path, tmp_path: Path, capsys
):
    options = {
        "--preset": str(preset_file),
        "--grid": "model.hidden=4,8",
        "--budget": "steps=2",
        "--data": str(hq_root),
        "--out": str(tmp_path / "out"),
    }
    options |= {key: str(tmp_path) if value == "FULL" else value for key, value in changes.items()}
    assert main(["run", *(text for option in options.items() for text in option)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_grid_trains_every_cell_and_a_failed_one_does_not_stop_it(preset_file: Path, hq_root: Path, tmp_path: Path):
    out = tmp_path / "out"
    grid = "train.lr=0.001,1e30"
    arguments = ["run", "--preset", str(preset_file), "--data", str(hq_root), "--out", str(out), "--budget", "steps=2"]
    assert main([*arguments, "--grid", grid]) == 1
    with (out / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["train.lr"] for row in rows] == ["0.001", "1e30"]
    assert [row["status"] for row in rows] == ["finished", "failed"]
    finished, failed = rows
    assert finished["step"] == "2" and float(finished["best_sdr"]) >= float(finished["valid_sdr"])
    assert finished["error"] == "" and failed["error"].startswith("FloatingPointError: step 1")
    assert int(finished["parameters"]) > 0
    assert (out / "trial-000" / "best" / "weights.safetensors").exists()
