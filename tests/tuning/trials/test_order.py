"""The order of trials: a grid has each cell and seed once; Optuna uses new results and those in the folder."""

from pathlib import Path

import pytest

from conftest import TINY
from tuning.space.grid import expand
from tuning.trials.optuna_source import OptunaSource
from tuning.trials.order import GridSource, Maker
from tuning.trials.records import FAILED, FINISHED, STOPPED, Outcome, read_trials, write_outcome

GRID = {"model.hidden": ("4", "8", "12", "16"), "model.features": ("4", "8", "12")}


def maker_in(folder: Path, seeds=(0,)):
    cells, _ = expand(TINY, GRID)
    return cells, Maker(cells, [(100 + index, 0.1) for index in range(len(cells))], seeds, folder)


def drain(source):
    trials = []
    while trial := source.next():
        trials.append(trial)
    return trials


def test_a_grid_has_every_cell_with_every_seed_the_first_seed_of_all_first(tmp_path):
    cells, maker = maker_in(tmp_path, seeds=(3, 4))
    source = GridSource(cells, maker)
    trials = drain(source)
    assert source.num_trials == len(trials) == 24
    assert [trial.seed for trial in trials] == [3] * 12 + [4] * 12
    assert [trial.overrides for trial in trials[:12]] == [cell.overrides for cell in cells]
    assert trials[5].parameters == 105
    assert read_trials(tmp_path) == trials


def test_a_resumed_grid_leaves_out_finished_trials(tmp_path):
    cells, maker = maker_in(tmp_path)
    GridSource(cells, maker)
    for index, status in ((0, FINISHED), (1, STOPPED), (2, FAILED)):
        write_outcome(tmp_path / f"trial-{index:03d}", Outcome(status))
    assert [trial.index for trial in drain(GridSource(cells, maker))] == list(range(2, 12))


def worth(trial):
    return float(trial.overrides["model.hidden"]) - abs(float(trial.overrides["model.features"]) - 8)


def test_optuna_tries_no_cell_twice_and_finds_the_better_ones(tmp_path):
    cells, maker = maker_in(tmp_path)
    source = OptunaSource(cells, maker, GRID, 12, seed=0)
    tried = []
    while trial := source.next():
        tried.append(trial)
        source.done(trial, Outcome(FINISHED, {"sdr": worth(trial)}))
    assert len({tuple(trial.overrides.values()) for trial in tried}) == len(tried) == 12
    late = [worth(trial) for trial in tried[4:8]]
    assert sum(late) / 4 > sum(map(worth, tried)) / 12  # after its random start it prefers what was good


def test_optuna_gives_each_cell_all_its_seeds_and_takes_the_mean_if_none_failed(tmp_path):
    cells, maker = maker_in(tmp_path, seeds=(0, 1))
    source = OptunaSource(cells, maker, GRID, 6, seed=0)
    trials = drain(source)
    assert [trial.seed for trial in trials] == [0, 1] * 3
    assert [trials[2 * i].overrides for i in range(3)] == [trials[2 * i + 1].overrides for i in range(3)]
    for trial, sdr in zip(trials, (1.0, 2.0, None, 3.0, None, None), strict=True):
        source.done(trial, Outcome(FAILED) if sdr is None else Outcome(FINISHED, {"sdr": sdr}))
    assert [each.value for each in source._study.trials if each.state.is_finished() and each.value is not None] == [1.5]


def test_a_resumed_optuna_search_uses_the_earlier_results(tmp_path):
    cells, maker = maker_in(tmp_path)
    first = OptunaSource(cells, maker, GRID, 8, seed=0)
    begun = [first.next() for _ in range(4)]
    for trial in begun[:3]:
        write_outcome(tmp_path / trial.name, Outcome(FINISHED, {"sdr": worth(trial)}))
    resumed = OptunaSource(cells, maker, GRID, 8, seed=0)
    assert resumed.next() == begun[3]  # it was running
    rest = drain(resumed)
    assert [trial.index for trial in rest] == [4, 5, 6, 7]
    assert len({tuple(trial.overrides.values()) for trial in begun + rest}) == 8
    values = [trial.value for trial in resumed._study.trials if trial.state.is_finished() and trial.value is not None]
    assert values == [worth(trial) for trial in begun[:3]]


def test_a_damaged_trial_is_named(tmp_path):
    cells, maker = maker_in(tmp_path)
    GridSource(cells, maker)
    (tmp_path / "trial-004" / "trial.json").write_text("{")
    with pytest.raises(ValueError, match="trial-004/trial.json: expected a trial, got a damaged file"):
        read_trials(tmp_path)
