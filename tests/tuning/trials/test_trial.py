"""One trial: it trains its cell to the end of the budget, is resumed exactly, and writes its outcome."""

import threading
from dataclasses import replace

import pytest

from conftest import SAMPLE_RATE, STEMS, TINY
from models.checkpoints.checkpoint import load_checkpoint
from models.running.folder_lock import sole_writer
from models.training import loop
from models.training.data.packs import prepare_pack
from tuning.space.budget import Budget
from tuning.trials.records import (
    FAILED,
    FINISHED,
    UNFINISHED,
    Outcome,
    Trial,
    best_row,
    read_outcome,
    read_rows,
    sdr_of,
    write_outcome,
    write_trial,
)
from tuning.trials.trial import TrialRunner

TRIAL = Trial(0, {"model.hidden": "4"}, 7, 1000, 0.1)


@pytest.fixture
def runner(hq_root, tmp_path):
    pack = prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)
    runner = TrialRunner(TINY, Budget("steps", 4), "mean", pack.folder, tmp_path / "out", "cpu", 1, 2)
    write_trial(runner.out, TRIAL)
    return runner


def test_a_trial_trains_its_cell_and_keeps_the_best_weights(runner):
    reports = []
    outcome = runner(TRIAL, lambda metrics, folder: reports.append((metrics, (folder / "last.pt").exists())))
    assert [(each["step"], each["percent"], saved) for each, saved in reports] == [(2, 50, True)]
    folder = runner.out / "trial-000"
    assert outcome == read_outcome(folder) and outcome.status == FINISHED
    best = best_row(folder, "mean")
    assert outcome.metrics["sdr"] == best["valid_sdr"] == max(row["valid_sdr"] for row in read_rows(folder))
    assert outcome.metrics["valid_drums"] == best["valid_drums"]
    assert outcome.metrics["steps"] == 4 and outcome.metrics["budget_used"] == 1
    assert 0 < outcome.metrics["rtf"] < 100 and outcome.metrics["train_minutes"] >= 0
    checkpoint = load_checkpoint(folder / "best")
    assert checkpoint.preset == runner.preset_of(TRIAL)
    assert (checkpoint.preset.model.hidden, checkpoint.preset.train.seed, checkpoint.preset.train.steps) == (4, 7, 4)
    assert (folder / "last.pt").exists()  # a larger budget goes on from it
    assert runner(TRIAL, lambda *_: pytest.fail("it has been trained")) == outcome


def test_an_interrupted_trial_is_resumed_exactly_even_from_a_copy(runner, tmp_path):
    class Killed(BaseException):
        pass

    def kill(metrics, folder):
        raise Killed

    whole = replace(runner, out=tmp_path / "whole")
    reference = whole(TRIAL, lambda *_: None)
    with pytest.raises(Killed):
        runner(TRIAL, kill)
    folder = runner.out / "trial-000"
    assert read_outcome(folder) == Outcome(UNFINISHED)
    earlier = tmp_path / "copy"
    folder.rename(earlier)
    outcome = runner(TRIAL, lambda *_: pytest.fail("it went on after the first of its two validations"), earlier)
    assert outcome.metrics["sdr"] == pytest.approx(reference.metrics["sdr"], rel=1e-3)
    assert len((folder / "calls.jsonl").read_text().splitlines()) == 2


def test_a_failed_trial_does_not_stop_the_others_and_may_be_tried_again(runner):
    broken = Trial(0, {"train.lr": "1e30"}, 0, 1000, 0.1)
    outcome = runner(broken, lambda *_: None)
    assert outcome.status == FAILED and outcome.error.startswith("FloatingPointError: step")
    assert not outcome.is_over and read_outcome(runner.out / "trial-000") == outcome
    assert runner(broken, lambda *_: None).status == FAILED


def test_the_metric_may_be_one_stem_whose_best_weights_are_kept(runner, monkeypatch):
    scores = iter([{"vocals": 5.0, "drums": 1.0}, {"vocals": 0.0, "drums": 2.0}, {"vocals": 1.0, "drums": 1.5}])
    monkeypatch.setattr(loop, "track_sdr", lambda *_: {"a track": next(scores)})
    outcome = replace(runner, metric="drums", validations=3)(TRIAL, lambda *_: None)
    assert outcome.metrics["sdr"] == outcome.metrics["valid_drums"] == 2.0
    kept = load_checkpoint(runner.out / "trial-000" / "best").info
    assert kept["valid_sdr"] == {"vocals": 0.0, "drums": 2.0}  # by the mean it would be the first
    with pytest.raises(ValueError, match="--metric: expected a stem of the validation tracks, got bass"):
        sdr_of({"valid_sdr": 1.0, "valid_drums": 1.0}, "bass")


def test_a_scheduler_never_stops_a_trial_that_has_used_its_budget(runner):
    """With three validations ASHA compares at 33 and 99 %: it used to stop trials after their last step."""
    reports = []
    outcome = replace(runner, validations=3, budget=Budget("steps", 3))(TRIAL, lambda each, _: reports.append(each))
    assert [each["percent"] for each in reports] == [33, 66] and outcome.status == FINISHED
    reports.clear()
    write_trial(runner.out, second := replace(TRIAL, index=1))
    by_time = replace(runner, validations=3, budget=Budget("minutes", 0.005))
    assert by_time(second, lambda each, _: reports.append(each)).metrics["budget_used"] == 1
    assert all(each["percent"] < 99 for each in reports)


def test_two_processes_do_not_train_one_trial_at_once(runner):
    folder = runner.out / "trial-000"
    events = []

    def train():
        runner(TRIAL, lambda *_: None)
        events.append("trained")

    thread = threading.Thread(target=train)
    with sole_writer(folder):
        thread.start()
        thread.join(0.5)
        events.append("let go")
    thread.join()
    assert events == ["let go", "trained"]


def test_damaged_outcomes_are_named(tmp_path):
    (tmp_path / "outcome.json").write_text('{"state": 1}')
    with pytest.raises(ValueError, match="outcome.json: expected an outcome, got a damaged file"):
        read_outcome(tmp_path)
    write_outcome(tmp_path, Outcome(FAILED, {"sdr": 1.5}, "why"))
    assert read_outcome(tmp_path) == Outcome(FAILED, {"sdr": 1.5}, "why")
