"""Successive halving: which cells go on, that nothing is trained twice, and that a kill changes no decision."""

import random

import pytest

from conftest import TINY
from models.training.record.run_folder import STATE
from tuning.space.budget import Budget
from tuning.space.grid import expand
from tuning.space.rungs import rung_amounts, rung_sizes
from tuning.trials.halving import HalvingSource, read_rungs
from tuning.trials.order import Maker
from tuning.trials.records import FAILED, FINISHED, STOPPED, Outcome, write_outcome

HIDDEN = ("4", "8", "12", "16", "20", "24", "28")
RUNGS, FACTOR = (10.0, 30.0, 90.0), 3


def source_in(folder, seeds=(0,), rungs=RUNGS):
    cells, _ = expand(TINY, {"model.hidden": HIDDEN})
    return HalvingSource(cells, Maker(cells, [(1, 0.1)] * len(cells), seeds, folder, rungs[-1]), rungs, FACTOR)


def sdr(trial):
    """Large networks are better, but in the first rung the middle ones are."""
    hidden, until = float(trial.overrides["model.hidden"]), trial.until or 90.0
    return -abs(hidden - 16) if until == 10 else hidden + trial.seed / 10


def train(source, folder, trial, status=None, last=RUNGS[-1]):
    """Take a trial to the end of its rung."""
    until = trial.until or last
    found = status or (FINISHED if trial.until is None else STOPPED)
    outcome = Outcome(found, {} if found == FAILED else {"sdr": sdr(trial)}, until=until)
    (folder / trial.name / STATE).touch()
    write_outcome(folder / trial.name, outcome)
    source.done(trial, outcome)


def run(source, folder, trained=None, last=RUNGS[-1]):
    while trial := source.next():
        if trained is not None:
            trained.append((trial.overrides["model.hidden"], trial.seed, trial.until))
        train(source, folder, trial, last=last)


def test_the_best_third_of_each_rung_goes_on_to_three_times_the_budget(tmp_path):
    trained = []
    source = source_in(tmp_path)
    run(source, tmp_path, trained)
    assert trained == [
        *((hidden, 0, 10.0) for hidden in HIDDEN),
        *((hidden, 0, 30.0) for hidden in ("16", "12", "20")),
        ("20", 0, None),
    ]
    assert source.is_complete and source.num_trials == len(trained)
    assert source.total == pytest.approx((7 * 10 + 3 * 20 + 60) / 90)
    first, second = read_rungs(tmp_path)
    assert first.kept == tuple(f"model.hidden={hidden}" for hidden in ("16", "12", "20"))  # of two alike the first
    assert second.scores == {"model.hidden=16": 16.0, "model.hidden=12": 12.0, "model.hidden=20": 20.0}
    assert sorted(path.parent.name for path in tmp_path.glob(f"*/{STATE}")) == ["trial-004"]  # losers' are deleted


def test_seeds_are_averaged_and_a_cell_with_a_failed_seed_does_not_go_on(tmp_path):
    source = source_in(tmp_path, seeds=(0, 1))
    while (trial := source.next()) and trial.until == 10:
        fails = trial.overrides["model.hidden"] == "16" and trial.seed == 1
        train(source, tmp_path, trial, FAILED if fails else None)
    (rung,) = read_rungs(tmp_path)
    assert rung.scores["model.hidden=16"] is None
    assert rung.kept == tuple(f"model.hidden={hidden}" for hidden in ("12", "20", "8"))


def test_a_rung_waits_for_all_its_trials(tmp_path):
    source = source_in(tmp_path)
    trials = [source.next() for _ in HIDDEN]
    for trial in trials[:-1]:
        train(source, tmp_path, trial)
        assert source.next() is None and source.is_waiting and not source.is_complete
    train(source, tmp_path, trials[-1])
    assert source.next().until == 30 and not source.is_waiting


@pytest.mark.slow
def test_a_search_that_is_killed_anywhere_goes_on_with_the_same_decisions(tmp_path):
    whole = tmp_path / "whole"
    run(source_in(whole), whole)
    for number in range(20):
        folder, rng, trained = tmp_path / str(number), random.Random(number), []
        while not (source := source_in(folder)).is_complete:
            for _ in range(rng.randrange(4)):
                if trial := source.next():
                    trained.append((trial.index, trial.until))
                    train(source, folder, trial)
        assert read_rungs(folder) == read_rungs(whole)
        assert len(trained) == len(set(trained)) == 11  # nothing is trained twice


def test_seeds_that_are_added_are_trained_for_the_last_rung_alone(tmp_path):
    run(source_in(tmp_path), tmp_path)
    trained = []
    run(source_in(tmp_path, seeds=(0, 1)), tmp_path, trained)
    assert trained == [("20", 1, None)]


def test_a_larger_budget_adds_a_rung(tmp_path):
    run(source_in(tmp_path, rungs=RUNGS[:2]), tmp_path, last=30.0)
    trained = []
    run(source_in(tmp_path), tmp_path, trained)
    assert trained == [("20", 0, None)] and len(read_rungs(tmp_path)) == 2


def test_when_every_cell_fails_the_search_is_over_and_a_resumed_one_tries_them_again(tmp_path):
    source = source_in(tmp_path)
    while trial := source.next():
        train(source, tmp_path, trial, FAILED)
    assert source.is_complete and not source.is_waiting and not read_rungs(tmp_path)
    trained = []
    run(source_in(tmp_path), tmp_path, trained)
    assert len(trained) == 11 and len(read_rungs(tmp_path)) == 2


def test_rungs_have_the_sizes_and_budgets_of_the_paper():
    assert rung_sizes(28, 3, 0) == [28, 10, 4, 2] and rung_sizes(2, 3, 0) == [2, 1] and rung_sizes(1, 3, 0) == [1]
    assert rung_sizes(9, 3, 2) == [9, 3] and rung_sizes(4, 2, 4) == [4, 2, 1, 1]
    assert rung_amounts([Budget("minutes", 60)], 3, 3) == pytest.approx([60 / 9, 20, 60])
    assert rung_amounts([Budget("steps", 90), Budget("steps", 200)], 3, 2) == [30, 90, 200]
    with pytest.raises(ValueError, match="--rungs: 4 rungs of steps=20 begin with less than a step"):
        rung_amounts([Budget("steps", 20)], 3, 4)
    for factor, num_rungs in ((2, 21), (3, 1000), (10**400, 2)):
        with pytest.raises(ValueError, match="rungs of minutes=60 begin with less than a millionth of it"):
            rung_amounts([Budget("minutes", 60)], factor, num_rungs)


def test_a_damaged_file_of_rungs_is_named(tmp_path):
    (tmp_path / "rungs.json").write_text('[{"until": 3}]')
    with pytest.raises(ValueError, match="rungs.json: expected rungs, got a damaged file"):
        read_rungs(tmp_path)
