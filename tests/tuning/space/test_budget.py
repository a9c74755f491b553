"""Budgets: each kind gives every trial the same amount; invalid budgets are refused."""

import pytest

from conftest import TINY
from models.macs import step_gflops
from models.presets.settings import override
from tuning.space.budget import NEVER, Budget, parse_budget, share_of_budget


def test_a_budget_is_the_whole_length_of_a_run():
    preset = override(TINY, {"train.minutes": "3", "train.patience": "5", "train.steps": "7"})
    by_steps = parse_budget("steps=20").apply(preset, "cpu").train
    assert (by_steps.steps, by_steps.minutes, by_steps.patience, by_steps.validate_every) == (20, 0, 0, NEVER)
    by_minutes = parse_budget("minutes=0.5").apply(preset, "cpu").train
    assert (by_minutes.steps, by_minutes.minutes, by_minutes.patience) == (NEVER, 0.5, 0)
    assert by_minutes.clock == "processor"
    assert parse_budget("minutes=0.5").apply(preset, "cuda").train.clock == "wall"


def test_with_flops_a_larger_network_makes_fewer_steps():
    budget = parse_budget("flops=2e9")
    steps = {}
    for hidden in (8, 32):
        preset = override(TINY, {"model.hidden": str(hidden)})
        steps[hidden] = budget.apply(preset, "cpu").train.steps
        assert steps[hidden] * step_gflops(preset) * 1e9 == pytest.approx(2e9, rel=0.5 / steps[hidden])
    assert steps[8] > 2 * steps[32] > 0
    with pytest.raises(ValueError, match="--budget: flops=1000 is less than one training step"):
        parse_budget("flops=1000").apply(TINY, "cpu")


@pytest.mark.parametrize(
    "text",
    ["20", "steps", "steps=", "steps=0", "steps=1.5", "steps=-1", "minutes=0.0", "minutes=-1", "minutes=nan"]
    + ["minutes=inf", "minutes=x", "hours=1", "flops=0", "steps=2=3"],
)
def test_an_invalid_budget_is_refused(text):
    with pytest.raises(ValueError, match="--budget: expected steps=N, minutes=M or flops=X"):
        parse_budget(text)


def test_shares_are_in_the_unit_of_the_budget():
    row = {"step": 5, "minutes": 3.0, "cpu_minutes": 1.0}
    assert share_of_budget(Budget("steps", 20).apply(TINY, "cpu"), row) == 0.25
    assert share_of_budget(Budget("minutes", 4).apply(TINY, "cpu"), row) == 0.25
    assert share_of_budget(Budget("minutes", 4).apply(TINY, "cuda"), row) == 0.75
    assert share_of_budget(Budget("minutes", 0.5).apply(TINY, "cpu"), row) == 1
    assert str(parse_budget("flops=3e15")) == "flops=3e+15"


@pytest.mark.parametrize(
    "text", ["flops=3e15", "flops=1.2345678e15", "steps=1234567", "minutes=0.6666667", "minutes=12.34567"]
)
def test_the_text_of_a_budget_is_the_same_budget(text):
    """A plan in a folder holds the text: a digit less, and finished trials count as stopped before their end."""
    assert parse_budget(str(parse_budget(text))) == parse_budget(text)
