"""Ranges of settings: their forms, bounds, conditions, and the messages of wrong ones."""

import random

import pytest

from conftest import TINY
from tuning.space.grid import check_values, parse_grid, read_space, sample
from tuning.space.ranges import Range, draw, is_open, parse_range, ranges_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("log 1e-4..1e-2", Range("log", 1e-4, 1e-2)),
        ("float 0.05 .. 0.5", Range("float", 0.05, 0.5)),
        ("int 4..13 step 4", Range("int", 4, 12, 4)),
        ("choice adam|muon", Range("choice", choices=("adam", "muon"))),
        ("int 1..9 if a.b=c", Range("int", 1, 9, condition=("a.b", "c"))),
        ("choice x|y if a.b=c", Range("choice", choices=("x", "y"), condition=("a.b", "c"))),
    ],
)
def test_every_form_is_read(text, expected):
    assert parse_range("key", text) == expected


@pytest.mark.parametrize(
    "text",
    ["log 0..1", "log 1e-2..1e-4", "int 1.5..3", "float a..b", "log 1e-4", "int 1..3 step 0", "float 0..1 step 2"],
)
def test_a_wrong_range_is_said(text):
    with pytest.raises(ValueError, match="--grid: key: expected LOW..HIGH that rise"):
        parse_range("key", text)


@pytest.mark.parametrize("text", ["choice adam|adam", "choice adam||muon", "choice |"])
def test_a_choice_of_nothing_or_of_one_value_twice_is_said(text):
    with pytest.raises(ValueError, match="--grid: key: expected different values"):
        parse_range("key", text)


def test_values_lie_in_their_range_and_log_ones_are_even_in_the_logarithm():
    rng = random.Random(0)
    rates = [float(parse_range("k", "log 1e-4..1e-2").draw(rng)) for _ in range(400)]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates) and 160 < sum(rate < 1e-3 for rate in rates) < 240
    steps = {parse_range("k", "int 4..12 step 4").draw(rng) for _ in range(50)}
    assert steps == {"4", "8", "12"}
    narrow = parse_range("k", "float 0.123456..0.123457")
    assert all(0.123456 <= float(narrow.draw(rng)) <= 0.123457 for _ in range(20))  # more digits than usual


def test_a_conditional_setting_is_drawn_only_where_it_counts():
    grid = parse_grid(["train.warmup_steps=int 1..9 if train.schedule=linear", "train.schedule=linear,exponential"])
    ranges = ranges_of(grid)
    assert list(ranges) == ["train.schedule", "train.warmup_steps"] and is_open(grid)
    drawn = [draw(ranges, random.Random(seed)) for seed in range(40)]
    assert {each["train.schedule"] for each in drawn} == {"linear", "exponential"}
    assert all(("train.warmup_steps" in each) == (each["train.schedule"] == "linear") for each in drawn)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"train.lr": ("log 1e-3..1e-2", "0.1")}, "train.lr: expected one range or several values"),
        ({"train.lr": ("log 1e-3..1e-2 if train.loss=x",)}, "expected a condition on a value of another setting"),
        ({"train.lr": ("log 1..2 if train.loss=x",), "train.loss": ("complex", "waveform")}, "got train.loss=x"),
        ({"train.lt": ("log 1e-3..1e-2",)}, "did you mean 'train.lr'"),
        ({"train.batch": ("float 0.5..2.5",)}, "train.batch"),
        ({"train.minutes": ("float 1..2",)}, "which --budget determines"),
    ],
    ids=str,
)
def test_a_wrong_setting_or_condition_is_said_before_anything_runs(grid, message):
    with pytest.raises(ValueError, match=message):
        check_values(TINY, grid)


def test_a_space_of_a_file_may_hold_ranges_and_examples_are_drawn_from_it(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text("train.lr: log 1e-4..1e-2\nmodel.hidden: [4, 8]\nmodel.layers: int 1..2\n")
    grid = read_space(str(path))
    assert grid == {"train.lr": ("log 1e-4..1e-2",), "model.hidden": ("4", "8"), "model.layers": ("int 1..2",)}
    check_values(TINY, grid)
    cells, rejections = sample(TINY, grid)
    assert len(cells) == 16 and not rejections
    assert len({cell.preset.train.lr for cell in cells}) == 16 and {cell.preset.model.layers for cell in cells} == {
        1,
        2,
    }
    path.write_text("train.lr: log1e-4..1e-2\n")
    with pytest.raises(ValueError, match="expected a list of values or a range"):
        read_space(str(path))
