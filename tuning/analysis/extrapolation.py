"""What a trial will have at the end of its budget, from a part of it: a fit to finished trials, tested on others.

The gain that is still to come is fitted as a line over the gain of the last half of what was used (a curve that still
rises has more to come), to the finished trials of the search itself. How often this names the right winner is counted
on cells that the fit did not see.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tuning.analysis.paired import CONFIDENCE
from tuning.space.plan import Plan
from tuning.trials.records import FINISHED, read_rows, read_trials

LEAST = 5
"""Finished trials that a fit needs: it has two coefficients."""
HALVINGS = 200
"""Random halves of the cells in a test."""


@dataclass(frozen=True)
class Curve:
    """The learning curve of a trial.

    Attributes:
        trial: its number.
        cell: its settings.
        shares: of the budget, at its validations, rising.
        values: best SDR until then, dB.
        is_finished: whether it had the whole budget.
    """

    trial: int
    cell: str
    shares: np.ndarray
    values: np.ndarray
    is_finished: bool

    def at(self, share: float) -> float:
        """The best SDR at a share of the budget, on lines between validations, dB."""
        return float(np.interp(share, self.shares, self.values))


@dataclass(frozen=True)
class Trustworthiness:
    """The predictions from one share of the budget, on cells that the fit did not see.

    Attributes:
        share: of the budget.
        right: share of random halves in which the prediction names the best cell of the unseen half.
        right_so_far: the same for the order at this share, without a fit.
        held: share of the trials whose end lies in the 95 % interval.
        error: mean absolute error of the predictions, dB.
    """

    share: float
    right: float
    right_so_far: float
    held: float
    error: float


def read_curves(out: Path, table: pd.DataFrame, plan: Plan) -> list[Curve]:
    """The curves of all trials with a validation; ``table`` is that of ``read_results``."""
    clock = "step" if plan.budget.kind != "minutes" else "cpu_minutes" if plan.device == "cpu" else "minutes"
    column = "valid_sdr" if plan.metric == "mean" else f"valid_{plan.metric}"
    rows_of = table.set_index("trial")
    curves = []
    for trial in read_trials(out):
        rows = [row for row in read_rows(out / trial.name) if column in row]
        facts = rows_of.loc[trial.index]
        used = facts.get("budget_used", np.nan)
        if not rows or pd.isna(used) or not rows[-1][clock]:
            continue
        shares = np.array([row[clock] / rows[-1][clock] * used for row in rows])
        values = np.maximum.accumulate([row[column] for row in rows])
        curves.append(Curve(trial.index, str(facts.cell), shares, values, facts.status == FINISHED))
    return curves


def extrapolate(known: Sequence[Curve], curves: Sequence[Curve], share: float) -> np.ndarray:
    """The SDR at the end of the budget, from a share of it.

    Args:
        known: finished trials, at least ``LEAST``.
        curves: the trials to predict.
        share: of the budget that is used.

    Returns:
        Prediction and half the width of its 95 % interval [curves, 2], dB.
    """
    from scipy.stats import t

    design, now = _design(known, share)
    gains = np.array([curve.values[-1] for curve in known]) - now
    coefficients = np.linalg.lstsq(design, gains, rcond=None)[0]
    freedom = len(known) - design.shape[1]
    spread = float(np.sqrt(((gains - design @ coefficients) ** 2).sum() / freedom))
    inverse = np.linalg.pinv(design.T @ design)
    asked, asked_now = _design(curves, share)
    leverage = np.einsum("ij,jk,ik->i", asked, inverse, asked)
    half = t.ppf((1 + CONFIDENCE) / 2, freedom) * spread * np.sqrt(1 + leverage)
    return np.stack([asked_now + asked @ coefficients, half], axis=1)


def check_on_unseen_cells(curves: Sequence[Curve], share: float) -> Trustworthiness | None:
    """Fit to a random half of the cells, predict the other half, many times; None with too few finished trials."""
    finished = [curve for curve in curves if curve.is_finished]
    cells = list(dict.fromkeys(curve.cell for curve in finished))
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(HALVINGS if len(cells) >= 4 else 0):
        seen = {cells[place] for place in rng.permutation(len(cells))[: len(cells) // 2]}
        known = [curve for curve in finished if curve.cell in seen]
        unseen = [curve for curve in finished if curve.cell not in seen]
        if len(known) < LEAST:
            return None
        found = extrapolate(known, unseen, share)
        ends, now = [curve.values[-1] for curve in unseen], [curve.at(share) for curve in unseen]
        best = _best(unseen, ends)
        errors = np.abs(found[:, 0] - ends)
        hits = (_best(unseen, found[:, 0]) == best, _best(unseen, now) == best)
        rows.append((*hits, np.mean(errors <= found[:, 1]), errors.mean()))
    return Trustworthiness(share, *(float(value) for value in np.mean(rows, axis=0))) if rows else None


def _design(curves: Sequence[Curve], share: float) -> tuple[np.ndarray, np.ndarray]:
    """A constant and the gain since half the share, for each curve; and the SDR at the share."""
    now = np.array([curve.at(share) for curve in curves])
    before = np.array([curve.at(share / 2) for curve in curves])
    return np.stack([np.ones(len(curves)), now - before], axis=1), now


def _best(curves: Sequence[Curve], values: Sequence[float] | np.ndarray) -> str:
    """The cell with the best mean over its seeds."""
    means = pd.Series(values).groupby([curve.cell for curve in curves], sort=False).mean()
    return str(means.idxmax())
