"""Grids: what is typed becomes checked cells, and what does not hold is said with its reason."""

import pytest

from models.config import override
from models.preset import load_preset
from tuning.space import expand, parse_budget, parse_grid


def test_a_grid_is_every_combination_once():
    grid = parse_grid(["model.bands=v4,v7", "model.hidden=16, 32 ,64"])
    assert grid == {"model.bands": ("v4", "v7"), "model.hidden": ("16", "32", "64")}
    cells, rejections = expand(load_preset("small"), grid)
    assert not rejections
    assert [(cell.preset.model.bands, cell.preset.model.hidden) for cell in cells] == [
        (bands, hidden) for bands in ("v4", "v7") for hidden in (16, 32, 64)
    ]
    assert cells[1].name == "model.bands=v4 model.hidden=32"


def test_a_cell_changes_nothing_else():
    preset = load_preset("small")
    cells, _ = expand(preset, parse_grid([f"train.lr={preset.train.lr}"]))
    assert cells[0].preset == preset


def test_semicolons_separate_values_that_hold_commas():
    grid = parse_grid(["model.bands=v7;100:1k,250:4k,500:8k,1k:16k,2k:20k"])
    assert grid == {"model.bands": ("v7", "100:1k,250:4k,500:8k,1k:16k,2k:20k")}
    assert len(expand(load_preset("small"), grid)[0]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.hidden"], "expected key=value,value"),
        (["=1,2"], "expected key=value,value"),
        (["model.hidden=1,,2"], "expected key=value,value"),
        (["model.hidden=64,64"], "same value twice"),
        (["model.hidden=64", "model.hidden=32"], "given twice"),
    ],
)
def test_what_is_no_grid_is_refused(arguments: list[str], message: str):
    with pytest.raises(ValueError, match=message):
        parse_grid(arguments)


def test_invalid_combinations_are_listed_with_the_reason():
    cells, rejections = expand(load_preset("small"), parse_grid(["model.n_fft=2048,4096", "model.hop=1024,2048"]))
    assert len(cells) == 3
    assert [rejection.overrides for rejection in rejections] == [{"model.n_fft": "2048", "model.hop": "2048"}]
    assert "model.hop" in rejections[0].reason and "2048" in rejections[0].reason


@pytest.mark.parametrize("argument", ["model.hiden=64,128", "model.hidden=big", "model.bands=v99"])
def test_a_grid_without_a_valid_combination_is_refused_with_the_reason(argument: str):
    with pytest.raises(ValueError, match="none of the .* combinations is valid: .*model"):
        expand(load_preset("small"), parse_grid([argument]))


def test_a_budget_is_the_whole_length_of_a_run():
    preset = override(load_preset("small"), {"train.minutes": "3", "train.patience": "5"})
    by_steps = override(preset, parse_budget("steps=20")).train
    assert (by_steps.steps, by_steps.minutes, by_steps.patience) == (20, 0, 0)
    by_minutes = override(preset, parse_budget("minutes=0.5")).train
    assert (by_minutes.steps, by_minutes.minutes, by_minutes.patience) == (preset.train.steps, 0.5, 0)


@pytest.mark.parametrize("text", ["20", "steps", "steps=", "steps=0", "minutes=0.0", "hours=1"])
def test_what_is_no_budget_is_refused(text: str):
    with pytest.raises(ValueError, match="--budget: expected steps=N or minutes=M"):
        parse_budget(text)


@pytest.mark.parametrize("text", ["steps=1.5", "steps=-1", "minutes=-1", "minutes=nan", "minutes=inf", "minutes=x"])
def test_an_impossible_amount_is_refused_by_the_preset(text: str):
    with pytest.raises(ValueError, match=f"train.{text.split('=')[0]}: expected"):
        override(load_preset("small"), parse_budget(text))
