"""Promotion: the best trial of a search becomes a preset and a checkpoint; existing files do not change."""

import dataclasses

import pytest
import torch

from models.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from models.presets.preset import load_preset
from models.presets.settings import override
from models.separation.separator import load_separator
from models.training.record.track_scores import write_track_scores
from search_folder import PLAN, write_search
from tuning.__main__ import main
from tuning.promote import choose, parse_gmacs, promote
from tuning.trials.records import FAILED, FINISHED, STOPPED, Outcome, read_trials, write_outcome


@pytest.fixture
def search(tmp_path):
    write_search(tmp_path / "out")
    for trial in read_trials(tmp_path / "out"):
        preset = PLAN.budget.apply(override(PLAN.preset, {**trial.overrides, "train.seed": trial.seed}), "cpu")
        torch.manual_seed(trial.index)
        info = {"name": trial.name, "steps": 4, "valid_sdr": {"vocals": 1.0, "drums": 2.0}}
        weights = preset.build_network().state_dict()
        save_checkpoint(tmp_path / "out" / trial.name / "best", weights, preset, info, "card")
    return tmp_path / "out"


def test_the_best_is_the_best_seed_of_the_best_cell(search):
    assert choose(search).index == 1  # v1, 16: mean 3.0, its first seed above its second
    assert choose(search, most_gmacs=1.0).index == 6  # the better of the cells with 8 hidden units
    assert choose(search, trial=7).index == 7


def test_the_best_is_the_first_of_the_summary(tmp_path):
    write_search(tmp_path, tracks=3)
    for trial in read_trials(tmp_path):
        if trial.overrides["model.bands"] == "v1" and trial.overrides["model.hidden"] == "8":
            scores = {f"track {n}": {"vocals": 9.0} for n in range(3)}  # by its tracks, not by its mean of the stems
            write_track_scores(tmp_path / trial.name, 4, scores)
    assert choose(tmp_path).overrides == {"model.bands": "v1", "model.hidden": "8"}


@pytest.mark.parametrize("status", [FAILED, STOPPED])
def test_a_cell_of_which_a_seed_failed_or_was_stopped_is_not_the_best(search, status):
    write_outcome(search / "trial-000", Outcome(FINISHED, {"sdr": 5.5, "steps": 4}))
    write_outcome(search / "trial-004", Outcome(status, {"sdr": 9.0}))
    assert choose(search).index == 1
    assert choose(search, trial=0).index == 0  # if asked for
    write_outcome(search / "trial-006", Outcome(status, {"sdr": 9.0}))
    with pytest.raises(
        ValueError, match="a cell under 1 GMAC/s of which each seed has finished .2., found none; go on"
    ):
        choose(search, most_gmacs=1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trial": 99}, "--trial: expected one of the 8 trials"),
        ({"trial": 0}, "--trial: expected a finished trial, 0 is failed"),
        ({"most_gmacs": 0.5}, "expected a cell under 0.5 GMAC/s of which each seed has finished .2., found none"),
    ],
)
def test_invalid_choices_are_refused(search, options, message):
    write_outcome(search / "trial-000", Outcome(FAILED))
    with pytest.raises(ValueError, match=message):
        choose(search, **options)


def test_a_promoted_trial_is_a_preset_and_a_checkpoint_by_name(search, tmp_path):
    presets, checkpoints = tmp_path / "presets", tmp_path / "checkpoints"
    presets.mkdir()
    done = promote(search, PLAN, choose(search), "better", presets, checkpoints)
    preset = load_preset(str(done.preset))
    assert preset == override(PLAN.preset, {"model.bands": "v1", "model.hidden": "16"})  # no trace of the budget
    checkpoint = load_checkpoint(done.checkpoint)
    assert checkpoint.preset.model == preset.model and checkpoint.info["name"] == "better"
    assert "trial 1 (model.bands=v1 model.hidden=16)" in checkpoint.info["found_by"]
    card = (done.checkpoint / "README.md").read_text()
    assert card.startswith("# better") and "found by" in card
    assert (done.checkpoint / "metrics.csv").is_file()
    before = load_checkpoint(search / "trial-001" / "best").network.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in checkpoint.network.state_dict().items())
    assert load_separator(str(done.checkpoint)).stems == ("vocals", "drums")
    assert sorted(path.name for path in checkpoints.iterdir()) == ["better"]


@pytest.mark.parametrize("taken", ["presets/better.yaml", "checkpoints/better"])
def test_existing_files_are_not_overwritten(search, tmp_path, taken):
    for folder in ("presets", "checkpoints"):
        (tmp_path / folder).mkdir()
    (tmp_path / taken).mkdir()
    with pytest.raises(ValueError, match="--name: .*better.* exists; choose another"):
        promote(search, PLAN, choose(search), "better", tmp_path / "presets", tmp_path / "checkpoints")
    assert not list((tmp_path / taken).iterdir())


@pytest.mark.parametrize("name", ["", "a b", "../x", "A", ".x", "x.yaml", "x/y"])
def test_invalid_names_are_refused(search, tmp_path, name):
    with pytest.raises(ValueError, match="--name: expected lower-case letters"):
        promote(search, PLAN, choose(search), name, tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("text", "gmacs"), [("2GMAC", 2), ("2.5 GMAC/s", 2.5), ("2", 2), (".5gmacs", 0.5), ("3.GMAC", 3)]
)
def test_gmacs_are_read(text, gmacs):
    assert parse_gmacs(text) == gmacs


@pytest.mark.parametrize("text", ["", "GMAC", "-2", "2MMAC", "0", "nan"])
def test_an_invalid_number_of_gmacs_is_refused(text):
    with pytest.raises(ValueError, match="--pareto-under: expected GMAC a second such as 2GMAC"):
        parse_gmacs(text)


def test_errors_of_promote_are_one_line(search, tmp_path, capsys):
    assert main(["promote", str(tmp_path / "none"), "--best"]) == 2
    assert main(["promote", str(search), "--best", "--name", "small"]) == 2
    assert main(["promote", str(search), "--pareto-under", "0.1GMAC", "--name", "x"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert "expected the folder of a search" in errors[0] and "exists; choose another name" in errors[1]
    assert "under 0.1 GMAC/s of which each seed has finished" in errors[2]


def test_the_plan_of_a_search_may_name_any_preset(search):
    dataclasses.replace(PLAN, preset_name="x").save(search)
    assert main(["report", str(search)]) == 0
