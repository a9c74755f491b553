"""Optuna over ranges: values inside them, conditions kept, results replayed, and two objectives."""

import pytest

from conftest import TINY
from tuning.space.grid import expand, format_overrides, sample
from tuning.trials.optuna_source import OptunaSource
from tuning.trials.order import Maker
from tuning.trials.records import FINISHED, Outcome, read_trials, write_outcome

GRID = {
    "train.lr": ("log 1e-4..1e-1",),
    "model.hidden": ("int 4..16 step 4",),
    "train.schedule": ("linear", "exponential"),
    "train.warmup_steps": ("int 1..9 if train.schedule=linear",),
}


def source_in(folder, trials=12, objectives=("sdr",), valid=lambda settings: True):
    cells, _ = sample(TINY, GRID)
    maker = Maker(cells, [(1000, 0.1)] * len(cells), (0,), folder)

    def find(settings):
        if not valid(settings):
            return None
        (cell,), _ = expand(TINY, {key: (value,) for key, value in settings.items()})
        maker.add_cost(cell, 1000, float(settings["model.hidden"]))
        return cell

    return OptunaSource(cells, maker, GRID, trials, 0, objectives, find)


def run(source, folder, score, most=100):
    tried = []
    while len(tried) < most and (trial := source.next()):
        tried.append(trial)
        outcome = Outcome(FINISHED, {"sdr": score(trial)})
        write_outcome(folder / trial.name, outcome)
        source.done(trial, outcome)
    return tried


def near_a_hundredth(trial):
    return -abs(float(trial.overrides["train.lr"]) - 0.01)


def test_values_lie_in_their_ranges_and_later_ones_are_better(tmp_path):
    source = source_in(tmp_path, trials=30)
    tried = run(source, tmp_path, near_a_hundredth)
    assert len({format_overrides(trial.overrides) for trial in tried}) == 30 and source.is_complete
    for trial in tried:
        assert 1e-4 <= float(trial.overrides["train.lr"]) <= 1e-1
        assert trial.overrides["model.hidden"] in ("4", "8", "12", "16")
        assert ("train.warmup_steps" in trial.overrides) == (trial.overrides["train.schedule"] == "linear")
        assert trial.gmacs_per_s == float(trial.overrides["model.hidden"])
    errors = [-near_a_hundredth(trial) for trial in tried]
    assert sum(errors[20:]) / 10 < sum(errors[:10]) / 10


def test_a_resumed_search_has_learned_from_its_earlier_trials(tmp_path):
    first = run(source_in(tmp_path, trials=20), tmp_path, near_a_hundredth, most=14)
    second = run(source_in(tmp_path, trials=20), tmp_path, near_a_hundredth)
    assert [trial.index for trial in first + second] == list(range(20))
    assert not {str(trial.overrides) for trial in first} & {str(trial.overrides) for trial in second}
    assert sum(-near_a_hundredth(trial) for trial in second) / 6 < 0.03


def test_with_two_objectives_cheap_cells_are_sought_too(tmp_path):
    """SDR alone takes the largest networks; with the cost as second objective, small ones come too."""
    sizes = {}
    for objectives in (("sdr",), ("sdr", "gmacs")):
        folder = tmp_path / str(len(objectives))
        tried = run(source_in(folder, 40, objectives), folder, lambda trial: float(trial.overrides["model.hidden"]))
        sizes[objectives] = [float(trial.overrides["model.hidden"]) for trial in tried[15:]]
    assert sum(sizes["sdr", "gmacs"]) < sum(sizes["sdr",])


def test_invalid_combinations_are_passed_over_and_none_at_all_is_said(tmp_path):
    source = source_in(tmp_path / "some", trials=6, valid=lambda settings: settings["model.hidden"] != "4")
    assert {trial.overrides["model.hidden"] for trial in run(source, tmp_path / "some", lambda trial: 0.0)} <= {
        "8",
        "12",
        "16",
    }
    with pytest.raises(ValueError, match="of 1000 random combinations none is valid and new"):
        source_in(tmp_path / "none", valid=lambda settings: False).next()


def test_a_space_without_another_cell_ends_the_search(tmp_path, capsys):
    ends = {"model.hidden": ("int 4..12 step 4",)}
    cells, _ = expand(TINY, {"model.hidden": ("4", "8", "12")})
    known = {cell.name: cell for cell in cells}
    for _ in range(2):  # the second time as with --resume
        maker = Maker(cells, [(1000, 0.1)] * 3, (0,), tmp_path)
        source = OptunaSource(cells, maker, ends, 5, 0, find=lambda chosen: known[format_overrides(chosen)])
        run(source, tmp_path, lambda trial: 0.0)
        assert source.is_complete and len(read_trials(tmp_path)) == 3
        assert "none is valid and new; the search ends with 3 trials" in capsys.readouterr().err


def test_a_kill_between_the_trials_of_a_cell_leaves_no_cell_without_a_seed(tmp_path):
    cells, _ = expand(TINY, {"model.hidden": ("4", "8", "12")})
    Maker(cells, [(1000, 0.1)] * 3, (0, 1), tmp_path).make(cells[1], 0)
    maker = Maker(cells, [(1000, 0.1)] * 3, (0, 1), tmp_path)
    source = OptunaSource(cells, maker, {"model.hidden": ("4", "8", "12")}, 4, 0)
    run(source, tmp_path, lambda trial: 0.0)
    made = [(trial.overrides["model.hidden"], trial.seed) for trial in read_trials(tmp_path)]
    assert source.is_complete and made[:2] == [("8", 0), ("8", 1)] and len(made) == 4
