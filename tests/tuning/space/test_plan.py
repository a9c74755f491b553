"""The plan of a search: it is read back from its folder as it was written, and only the same search is resumed."""

import dataclasses

import pytest

from conftest import TINY
from models.presets.settings import override
from search_folder import PLAN
from tuning.space.budget import Budget
from tuning.space.grid import expand
from tuning.space.plan import read_plan


def test_a_plan_survives_its_folder(tmp_path):
    PLAN.save(tmp_path)
    assert read_plan(tmp_path) == PLAN
    PLAN.check_same(dataclasses.replace(PLAN, arguments=("other",)), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": Budget("steps", 8)}, "budget was 'steps=8' in .* and is 'steps=4' now"),
        ({"grid": {"model.bands": ("v1",)}}, "grid was"),
        ({"seeds": 3}, "seeds was 3"),
        ({"data": "other tracks"}, "data was 'other tracks'"),
        ({"preset": override(TINY, {"train.lr": "0.5"})}, "train.lr was 0.5"),
        ({"device": "cuda"}, "device was 'cuda'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_search_is_not_resumed(tmp_path, change, message):
    with pytest.raises(ValueError, match=f"--resume: {message}"):
        PLAN.check_same(dataclasses.replace(PLAN, **change), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 0}, "--seeds: expected at least 1"),
        ({"validations": 0}, "--validations: expected at least 1"),
        ({"scheduler": "pbt"}, "--scheduler: expected fifo, asha or halving, got 'pbt'"),
        ({"search": "random"}, "--search: expected grid or optuna, got 'random'"),
        ({"search": "optuna"}, "--trials: expected a multiple of --seeds for --search optuna, got"),
        ({"search": "optuna", "trials": 3}, "a multiple of --seeds for --search optuna, got 3"),
        ({"trials": 4}, "--trials: expected --search optuna, got grid and 4 trials"),
        ({"eta": 1}, "--eta: expected at least 2"),
        ({"rungs": -1}, "--rungs: expected at least 0"),
        ({"rungs": 2}, "--rungs: expected --scheduler halving, got fifo; leave it out"),
        ({"eta": 4}, "--eta: expected --scheduler halving, got fifo; leave it out"),
        ({"rungs": 21, "scheduler": "halving"}, "--rungs: expected at most 20, got 21"),
        ({"scheduler": "halving", "search": "optuna", "trials": 2}, "--scheduler: halving expects --search grid"),
        ({"scheduler": "asha", "validations": 1}, "--validations: expected at least 2 for --scheduler asha, got 1"),
    ],
    ids=str,
)
def test_an_invalid_plan_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(PLAN, **change)


def test_the_metric_is_a_stem_of_every_cell():
    cells, _ = expand(TINY, {"model.stems": ("vocals,drums", "drums")})
    dataclasses.replace(PLAN, metric="drums").check_metric(cells)
    with pytest.raises(ValueError, match="--metric: expected one of mean, drums, got 'vocals'"):
        dataclasses.replace(PLAN, metric="vocals").check_metric(cells)


@pytest.mark.parametrize("text", ["preset: {}\n", "x: 1\n", "- 1\n"])
def test_a_damaged_plan_is_named(tmp_path, text):
    (tmp_path / "search.yaml").write_text(text)
    with pytest.raises(ValueError, match="search.yaml|architecture"):
        read_plan(tmp_path)
    with pytest.raises(FileNotFoundError, match="expected the folder of a search"):
        read_plan(tmp_path / "none")
