"""The search from its command line: checks before any trial starts, one row for each trial, and resuming."""

import csv
import json
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
import soundfile
import yaml

from conftest import TINY, VALID_TRACK
from models.__main__ import main as models_main
from models.presets.settings import override, to_mapping
from models.running.folder_lock import sole_writer
from models.running.repository import ROOT
from tuning.__main__ import main
from tuning.commands import run_checks
from tuning.trials import trial


@pytest.fixture
def arguments(hq_root: Path, tmp_path: Path) -> list[str]:
    """The arguments of a search in this process, two steps a trial, without a grid."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(to_mapping(override(TINY, {"data.crop_s": "0.1"}))))
    common = [
        "run",
        "--preset",
        str(path),
        "--data",
        str(hq_root),
        "--out",
        str(tmp_path / "out"),
        "--budget",
        "steps=2",
    ]
    return [*common, "--validations", "1", "--backend", "local"]


def rows_in(out: Path) -> list[dict[str, str]]:
    with (out / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def calls_in(out: Path) -> dict[str, int]:
    """How often each trial was started or resumed."""
    return {path.parent.name: len(path.read_text().splitlines()) for path in sorted(out.glob("trial-*/calls.jsonl"))}


def test_dry_run_lists_trials_and_starts_none(arguments: list[str], tmp_path: Path, capsys):
    grid = ["--grid", "model.hop=256,2048", "--grid", "model.hidden=4,8"]
    assert main([*arguments, *grid, "--seeds", "3", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "6 trials (2 cells, 3 seeds), steps=2 each" in printed
    assert printed.count("left out: model.hop=2048") == 2
    line = next(line for line in printed.splitlines() if line.endswith("model.hop=256 model.hidden=8"))
    assert " M " in line and "GMAC/s" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_dry_run_needs_neither_data_nor_folder(capsys):
    assert (
        main(["run", "--preset", "tiny", "--grid", "model.mask_factor=1,2,4", "--budget", "flops=1e13", "--dry-run"])
        == 0
    )
    printed = capsys.readouterr().out
    steps = [int(line.split("GMAC/s")[1].split()[0]) for line in printed.splitlines()[1:]]
    assert steps == sorted(steps, reverse=True) and steps[0] > steps[-1] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--grid": "model.hiden=4,8"}, "did you mean 'model.hidden'"),
        ({"--grid": "model.bands=v3,v77"}, "no scheme 'v77'"),
        ({"--set": "model.hiden=4"}, "did you mean 'model.hidden'"),
        ({"--set": "train.steps=4"}, "--set: expected another setting, got train.steps, which --budget determines"),
        ({"--space": "papers"}, "did you mean 'paper'"),
        ({"--budget": "hours=2"}, "--budget: expected steps=N, minutes=M or flops=X"),
        ({"--budget": "flops=10"}, "less than one training step"),
        ({"--data": "/nowhere/at/all"}, "--data: expected an existing folder, got /nowhere/at/all"),
        ({"--preset": "smal"}, "did you mean 'small'"),
        ({"--cpus-per-trial": "4096"}, "--cpus-per-trial: expected 1 to"),
        ({"--gpus-per-trial": "1.5"}, "--gpus-per-trial: expected 0 to 1 or a whole number"),
        ({"--gpus-per-trial": "64"}, "--gpus-per-trial: expected at most"),
        ({"--concurrent": "-1"}, "--concurrent: "),
        ({"--backend": "ray", "--retries": "-1"}, "--retries: expected at least 0"),
        ({"--retries": "2"}, "--retries: expected --backend ray, got local"),
        ({"--backend": "spark"}, "--backend: expected ray or local, got 'spark'"),
        ({"--address": "auto"}, "--address: expected --backend ray, got local"),
        ({"--storage": "/tmp"}, "--storage: expected --backend ray, got local"),
        ({"--log": "comet"}, "--log: expected wandb or mlflow, got 'comet'"),
        ({"--scheduler": "asha"}, "--scheduler: asha needs --backend ray"),
        ({"--metric": "bass"}, "--metric: expected one of mean, vocals, drums, got 'bass'"),
        ({"--out": "FULL"}, "expected a new or empty folder"),
        ({"--out": "FILE"}, "--out: expected a folder"),
        ({"--resume": None}, "--resume: no search in"),
    ],
    ids=str,
)
def test_user_errors_are_one_line(
    changes: dict[str, str | None], message: str, arguments: list[str], tmp_path: Path, capsys
):
    places = {"FULL": str(tmp_path), "FILE": arguments[2]}
    given = {"--grid": "model.hidden=4,8", **changes}
    extra = [
        text for name, value in given.items() for text in (name, *([] if value is None else [places.get(value, value)]))
    ]
    assert main([*arguments, *extra]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_reported_before_any_trial_starts(arguments: list[str], tmp_path: Path, monkeypatch, capsys):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(run_checks.shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
    assert main([*arguments, "--grid", "model.hidden=4,8"]) == 2
    assert "2 cells need about 0.0 GB" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_search_trains_every_cell_resumes_and_is_promoted(arguments: list[str], tmp_path: Path, monkeypatch, capsys):
    out = tmp_path / "out"
    grid = ["--grid", "model.hidden=4,8", "--grid", "train.lr=0.01,1e30"]
    trained = trial.train

    def stop_at_third(preset, pack, folder, **options):
        result = trained(preset, pack, folder, **options)
        if folder.name == "trial-002":
            raise InterruptedError("stopped")
        return result

    with monkeypatch.context() as patch:
        patch.setattr(trial, "train", stop_at_third)
        assert main([*arguments, *grid]) == 130
    assert "go on with --resume" in capsys.readouterr().err
    assert [row["status"] for row in rows_in(out)] == ["finished", "failed", "unfinished", "unfinished"]
    first = rows_in(out)[0]
    assert main([*arguments, *grid]) == 2
    assert main([*arguments, *grid, "--resume", "--seeds", "2"]) == 2
    errors = capsys.readouterr().err
    assert "add --resume to go on with it" in errors and "--resume: seeds was 1" in errors
    assert main([*arguments, *grid, "--resume"]) == 1  # two failed
    rows = rows_in(out)
    assert [row["status"] for row in rows] == ["finished", "failed"] * 2
    assert [(row["model.hidden"], row["train.lr"]) for row in rows] == [
        (hidden, rate) for hidden in ("4", "8") for rate in ("0.01", "1e30")
    ]
    assert rows[0] == first and rows[1]["error"].startswith("FloatingPointError: step")
    assert calls_in(out)["trial-000"] == calls_in(out)["trial-002"] == 1  # not repeated: both had reached their end
    printed = capsys.readouterr()
    assert "trial-001 (model.hidden=4 train.lr=1e30, seed 0): failed FloatingPointError" in printed.out
    for name in ("summary.md", "pareto.png", "effects.png", "curves.png"):
        assert (out / name).stat().st_size > 100
    assert main([*arguments, *grid, "--resume"]) == 1
    assert calls_in(out)["trial-000"] == calls_in(out)["trial-002"] == 1


def test_optuna_in_this_process(arguments: list[str], tmp_path: Path):
    options = ["--search", "optuna", "--trials", "3", "--grid", "model.hidden=4,6,8", "--grid", "model.features=4,8"]
    assert main([*arguments, *options]) == 0
    rows = rows_in(tmp_path / "out")
    assert [row["status"] for row in rows] == ["finished"] * 3
    assert len({(row["model.hidden"], row["model.features"]) for row in rows}) == 3


@pytest.mark.slow
def test_optuna_in_ranges_with_two_objectives(arguments: list[str], tmp_path: Path, capsys):
    options = ["--search", "optuna", "--trials", "3", "--objectives", "sdr,gmacs"]
    ranges = ["train.lr=log 1e-3..1e-1", "bands.count=int 4..6", "train.warmup_steps=int 1..3 if train.schedule=linear"]
    grid = [text for each in [*ranges, "train.schedule=linear,exponential"] for text in ("--grid", each)]
    assert main([*arguments, *options, *grid, "--dry-run"]) == 0
    assert "3 trials out of ranges, steps=2 each" in capsys.readouterr().out
    assert main([*arguments, *options, *grid]) == 0
    rows = rows_in(tmp_path / "out")
    assert [row["status"] for row in rows] == ["finished"] * 3
    assert all((row["train.warmup_steps"] == "-") == (row["train.schedule"] != "linear") for row in rows)
    assert main([*arguments, *options, *grid, "--resume"]) == 0
    assert rows_in(tmp_path / "out") == rows
    assert main(["promote", str(tmp_path / "out"), "--trial", "9"]) == 2
    capsys.readouterr()
    for change, message in (
        (["--search", "grid", "--trials", "0", "--objectives", "sdr"], "--grid: ranges expect --search optuna"),
        (["--objectives", "gmacs"], "--objectives: expected sdr or sdr,gmacs, got gmacs"),
    ):
        assert main([*arguments, *options, *grid, *change]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.slow
def test_without_ray_the_local_backend_runs(arguments: list[str], tmp_path: Path):
    """As on a machine that has no Ray, musdb, soundfile, pandas, scipy, matplotlib or Optuna."""
    absent = ("ray", "soundfile", "musdb", "pandas", "scipy", "matplotlib", "optuna", "tensorboardX", "stempeg")
    pack = tmp_path / "pack"
    data = arguments[arguments.index("--data") + 1]
    assert models_main(["prepare", "--data", data, "--out", str(pack)]) == 0
    arguments[arguments.index("--data") + 1] = str(pack)
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({absent!r})); from tuning.__main__ import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", program, *arguments, "--grid", "model.hidden=4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "python -m tuning report" in done.stdout
    assert json.loads((tmp_path / "out" / "trial-000" / "outcome.json").read_text())["status"] == "finished"
    assert main(["report", str(tmp_path / "out")]) == 0
    assert len(rows_in(tmp_path / "out")) == 1


def test_changed_data_are_refused(arguments: list[str], hq_root: Path, tmp_path: Path, capsys):
    assert main([*arguments, "--grid", "model.hidden=4"]) == 0
    shutil.copytree(hq_root / "train" / "Tin Lantern - First Light", hq_root / "train" / "Another - Song")
    assert main([*arguments, "--grid", "model.hidden=4", "--resume"]) == 2
    assert "--resume: data was '1 training and 1 validation tracks" in capsys.readouterr().err


def test_a_folder_holds_one_search_at_a_time(arguments: list[str], tmp_path: Path, capsys):
    with sole_writer(tmp_path / "out"):
        assert main([*arguments, "--grid", "model.hidden=4"]) == 2
    assert "is writing there" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["lock"]


def test_a_search_that_began_and_ended_meanwhile_is_not_overwritten(arguments, tmp_path: Path, monkeypatch, capsys):
    def another(out: Path, *_) -> None:
        out.mkdir()
        (out / "search.yaml").write_text("another search")

    monkeypatch.setattr("tuning.commands.run.check_room", another)
    assert main([*arguments, "--grid", "model.hidden=4"]) == 2
    assert "holds a search; add --resume" in capsys.readouterr().err
    assert (tmp_path / "out" / "search.yaml").read_text() == "another search"


def test_a_metric_without_validation_tracks_is_refused_before_any_trial(arguments: list[str], hq_root: Path, capsys):
    for path in (hq_root / "train" / VALID_TRACK).glob("drums.wav"):
        audio, rate = soundfile.read(path)
        soundfile.write(path, 0 * audio, rate, subtype="FLOAT")
    assert main([*arguments, "--grid", "model.hidden=4", "--metric", "drums"]) == 2
    assert "--metric: no validation track has drums; expected mean or vocals" in capsys.readouterr().err
