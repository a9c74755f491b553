"""Trials in TensorBoard's HParams and in trackers: each once, with settings, values and curves."""

import contextlib
import json
import sys
import types

import pytest

from search_folder import PLAN, write_search
from tuning.__main__ import main
from tuning.analysis.trackers import check_tracker
from tuning.commands.report import write_report


@pytest.mark.slow
def test_hparams_hold_settings_and_values_of_each_trial(tmp_path):
    write_search(tmp_path)
    for _ in range(2):  # the second report replaces the first
        write_report(tmp_path, PLAN)
    files = list((tmp_path / "hparams").rglob("events*"))
    assert len(files) == 8
    content = (tmp_path / "hparams" / "trial-001").rglob("events*").__next__().read_bytes()
    assert b"model.hidden" in content and b"search/sdr" in content and b"_hparams_/session_start_info" in content


@pytest.fixture
def calls(monkeypatch):
    """What two trackers that are not installed here would be told."""
    told = []

    class Run:
        summary = types.SimpleNamespace(update=lambda values: told.append(("summary", values)))

        def log(self, row, step):
            told.append(("log", row, step))

        def finish(self):
            told.append(("finish",))

    def init(**options):
        told.append(("init", options))
        return Run()

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=init))
    mlflow = types.SimpleNamespace(
        set_experiment=lambda name: told.append(("experiment", name)),
        start_run=lambda run_name: contextlib.nullcontext(told.append(("run", run_name))),
        log_params=lambda values: told.append(("params", values)),
        log_metrics=lambda values, step=None: told.append(("metrics", values, step)),
    )
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    return told


@pytest.mark.slow
def test_wandb_gets_each_finished_trial_once(tmp_path, calls, capsys):
    out = tmp_path / "my-search"
    write_search(out, seeds=1)
    assert main(["report", str(out), "--log", "wandb"]) == 0
    runs = [options for name, *rest in calls if name == "init" for options in rest]
    assert [run["name"] for run in runs] == [f"trial-{index:03d}" for index in range(4)]
    assert runs[1]["config"] == {"model.bands": "v1", "model.hidden": 16.0, "seed": 0}
    assert runs[1]["group"] == "my-search"
    assert calls[1][0] == "log" and calls[1][2] == 2 and calls[3][0] == "summary" and "sdr" in calls[3][1]
    assert calls[4] == ("finish",) and "4 trials to wandb" in capsys.readouterr().out
    calls.clear()
    assert main(["report", str(out), "--log", "wandb"]) == 0 and not calls
    assert json.loads((out / "logged-wandb.json").read_text())["trial-000"] == "4 steps"


def test_mlflow_gets_each_finished_trial(tmp_path, calls):
    write_search(tmp_path, seeds=1)
    assert main(["report", str(tmp_path), "--log", "mlflow"]) == 0
    assert [rest[0] for name, *rest in calls if name == "run"] == [f"trial-{index:03d}" for index in range(4)]
    ends = [values for name, values, *_ in calls if name == "metrics" and "end_sdr" in values]
    assert len(ends) == 4


def test_a_tracker_that_is_not_there_is_one_line(tmp_path, monkeypatch, capsys):
    write_search(tmp_path)
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert main(["report", str(tmp_path), "--log", "wandb"]) == 2
    assert "--log: wandb is not installed" in capsys.readouterr().err
    with pytest.raises(ValueError, match="--log: expected wandb or mlflow, got 'comet'"):
        check_tracker("comet")
    check_tracker(None)
