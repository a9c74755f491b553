"""Learning curves: known laws are continued, the interval holds, and the right winner is counted on unseen cells."""

import numpy as np
import pytest

from search_folder import PLAN, write_search
from tuning.analysis.extrapolation import Curve, check_on_unseen_cells, extrapolate, read_curves
from tuning.analysis.forecast import forecast
from tuning.analysis.results import read_results
from tuning.trials.records import STOPPED, Outcome, read_outcome, write_outcome

SHARES = np.arange(1, 11) / 10


def curves_of(rng, cells=8, seeds=2, noise=0.05):
    """Curves end - c (1 - share) with c of each cell: those that rise fast are low half-way, whatever their end."""
    found = []
    for cell in range(cells):
        rise = rng.uniform(1, 6)
        end = rng.normal(0, 0.3)
        for _ in range(seeds):
            values = end - rise * (1 - SHARES) + rng.normal(0, noise, 10)
            found.append(Curve(len(found), f"cell {cell}", SHARES, np.maximum.accumulate(values), True))
    return found


def test_a_curve_is_continued_by_the_law_of_the_others():
    rng = np.random.default_rng(0)
    found = extrapolate(curves_of(rng, noise=0.0), curves_of(rng, cells=3, noise=0.0), 0.5)
    ends = [curve.values[-1] for curve in curves_of(np.random.default_rng(0), noise=0.0)]
    assert found.shape == (6, 2) and found[:, 1] == pytest.approx(0, abs=1e-6)
    assert min(ends) - 1 < found[0, 0] < max(ends) + 1


@pytest.mark.slow
def test_the_interval_holds_unseen_trials_and_the_winner_is_found_where_the_order_so_far_misleads():
    checks = [check_on_unseen_cells(curves_of(np.random.default_rng(seed)), 0.5) for seed in range(12)]
    assert np.mean([check.held for check in checks]) == pytest.approx(0.95, abs=0.04)
    right, so_far = (np.mean([getattr(check, name) for check in checks]) for name in ("right", "right_so_far"))
    assert right > 0.7 and right > so_far + 0.2
    assert np.mean([check.error for check in checks]) < 0.3


def test_too_few_finished_trials_are_not_fitted():
    rng = np.random.default_rng(1)
    assert check_on_unseen_cells(curves_of(rng, cells=3), 0.5) is None
    assert check_on_unseen_cells(curves_of(rng, cells=4, seeds=1), 0.5) is None
    assert forecast(curves_of(rng, cells=2)) == []


@pytest.mark.slow
def test_the_summary_names_what_stopped_trials_would_have_reached(tmp_path):
    write_search(tmp_path, seeds=2)
    outcome = read_outcome(tmp_path / "trial-003")
    write_outcome(tmp_path / "trial-003", Outcome(STOPPED, {**outcome.metrics, "budget_used": 0.5}))
    curves = read_curves(tmp_path, read_results(tmp_path), PLAN)
    assert [curve.is_finished for curve in curves].count(False) == 1
    assert list(curves[3].shares) == [0.25, 0.5] and curves[3].values[1] - curves[3].values[0] == pytest.approx(1)
    assert list(curves[0].shares) == [0.5, 1.0]
    text = "\n".join(forecast(curves))
    assert (
        "## Trials without the whole budget" in text and "| 3 | model.bands=100:1k,1k:20k model.hidden=16 | 50%" in text
    )
    rng = np.random.default_rng(2)
    assert "| 50% |" in forecast(curves_of(rng))[0] and "How early the winner was known" in forecast(curves_of(rng))[0]
