"""The importance of settings: exact on a full grid, estimated on a part of a space, and the front's hypervolume."""

import sys
from dataclasses import replace

import numpy as np
import optuna
import pandas as pd
import pytest

from search_folder import PLAN
from tuning.analysis.importance import describe, importance
from tuning.analysis.results import Comparison, hypervolume, pareto


def comparison_of(rows):
    return Comparison(pd.DataFrame(rows), pd.DataFrame(), None, None, None, pd.DataFrame())


def test_a_full_grid_is_decomposed_exactly():
    """Values 3 a + b + 2 a b of a, b = -1, 1: variances 9, 1 and 4."""
    signs = {"low": -1, "high": 1}
    rows = [{"a": a, "b": b, "mean": 3 * signs[a] + signs[b] + 2 * signs[a] * signs[b]} for a in signs for b in signs]
    plan = replace(PLAN, grid={"a": ("low", "high"), "b": ("low", "high"), "c": ("x",)})
    found = importance(comparison_of(rows), plan)
    assert found.shares == pytest.approx({"a": 9 / 14, "b": 1 / 14}) and found.together == pytest.approx(4 / 14)
    text = describe(found)
    assert text.index("| a | 64% |") < text.index("| b | 7% |") and "| combinations | 29% |" in text
    assert "about these values only" in text and "Share of the variance between cells (exact" in text


def test_a_part_of_a_space_is_estimated_and_ranks_what_counts(monkeypatch):
    rng = np.random.default_rng(0)
    grid = {"train.lr": ("log 1e-4..1e-2",), "train.clip": ("float 1..9",), "train.ema": ("float 0.1..0.9",)}
    rows = []
    for _ in range(60):
        rate, clip, ema = 10 ** rng.uniform(-4, -2), rng.uniform(1, 9), rng.uniform(0.1, 0.9)
        mean = -abs(np.log10(rate) + 3) * 5 + 0.05 * clip
        rows.append({"train.lr": f"{rate:.4g}", "train.clip": f"{clip:.4g}", "train.ema": f"{ema:.4g}", "mean": mean})
    plan = replace(PLAN, grid=grid, search="optuna", trials=60)
    optuna.logging.set_verbosity(optuna.logging.INFO)
    found = importance(comparison_of(rows), plan)
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING  # else it logs that it made a study
    assert max(found.shares, key=found.shares.get) == "train.lr" and "estimated by" in found.method
    assert np.isnan(found.together) and "combinations |" not in describe(found)
    assert sum(found.shares.values()) == pytest.approx(1) and "relative to the others" in describe(found)
    assert importance(comparison_of(rows[:5]), plan) is None
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert importance(comparison_of(rows), plan) is None


def test_one_setting_or_equal_cells_have_no_importance():
    plan = replace(PLAN, grid={"a": ("x", "y")})
    assert importance(comparison_of([{"a": "x", "mean": 1.0}, {"a": "y", "mean": 2.0}]), plan) is None
    plan = replace(PLAN, grid={"a": ("x", "y"), "b": ("1",)})
    assert importance(comparison_of([]), plan) is None
    plan = replace(PLAN, grid={"a": ("x", "y"), "b": ("1", "2")})
    assert importance(comparison_of([{"a": "x", "b": "1", "mean": 1.0}]), plan) is None  # the other cells failed


def test_the_hypervolume_is_the_area_that_the_front_leaves_behind():
    cost, value = np.array([1.0, 2.0, 3.0, 3.0]), np.array([1.0, 3.0, 2.0, 0.0])
    cells = pd.DataFrame({"gmacs_per_s": cost, "mean": value, "pareto": pareto(cost, value)})
    assert hypervolume(cells) == pytest.approx((1 * 1 + 1 * 3) / (2 * 3))
    best = pd.DataFrame({"gmacs_per_s": [1.0, 2.0], "mean": [5.0, 1.0], "pareto": [True, False]})
    assert hypervolume(best) == 1 and np.isnan(hypervolume(best.iloc[:1]))
