"""How much of the spread between cells each setting explains: functional ANOVA."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tuning.analysis.results import NO_VALUE, Comparison
from tuning.space.plan import Plan
from tuning.space.ranges import ranges_of

LEAST = 8
"""Complete cells that an estimate from a part of the space needs."""


@dataclass(frozen=True)
class Importance:
    """How much of the spread between cells each setting explains alone.

    Attributes:
        shares: of each setting that is varied, 0 to 1: of the variance between cells, or, where ``together`` is nan, of
            what the settings explain alone, which adds up to 1.
        together: share of the variance that only combinations of settings explain; nan if it is not known.
        method: how it was found.
    """

    shares: dict[str, float]
    together: float
    method: str


def importance(comparison: Comparison, plan: Plan) -> Importance | None:
    """The importance of the settings; None with one setting, or too few complete cells.

    A full grid is decomposed exactly. Else Optuna estimates it: by fANOVA (random forests) where scikit-learn is
    installed, else by PED-ANOVA, which asks how much the best tenth of the cells differs from all in each setting.

    Source: Hutter, Hoos & Leyton-Brown 2014 (fANOVA); Watanabe, Bansal & Hutter 2023 (PED-ANOVA).
    """
    cells, keys = comparison.cells, plan.varied
    if len(keys) < 2 or len(cells) < 2 or not cells["mean"].var():
        return None
    if not plan.is_open and len(cells) == math.prod(len(plan.grid[key]) for key in keys):
        return _exact(cells, keys)
    try:
        return _estimated(cells, keys, plan) if len(cells) >= LEAST else None
    except ModuleNotFoundError:  # the tables do not need Optuna
        return None


def _exact(cells: pd.DataFrame, keys: list[str]) -> Importance:
    total = float(cells["mean"].var(ddof=0))
    shares = {key: float(cells.groupby(key)["mean"].transform("mean").var(ddof=0)) / total for key in keys}
    return Importance(shares, max(0.0, 1 - sum(shares.values())), "exact, from the full grid")


def _estimated(cells: pd.DataFrame, keys: list[str], plan: Plan) -> Importance | None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ranges = ranges_of(plan.grid)
    study = optuna.create_study(direction="maximize")
    for _, cell in cells.iterrows():
        given = {key: ranges[key] for key in keys if cell[key] != NO_VALUE}
        params = {key: each.value(cell[key]) for key, each in given.items()}
        distributions = {key: each.distribution() for key, each in given.items()}
        study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=float(cell["mean"])))
    method, evaluator = _evaluator()
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return Importance({key: float(found[key]) for key in keys if key in found}, np.nan, method) if found else None


def _evaluator() -> tuple[str, Any]:
    from optuna import exceptions
    from optuna import importance as evaluators

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.ExperimentalWarning)
        try:
            return "estimated by fANOVA", evaluators.FanovaImportanceEvaluator(seed=0)
        except ImportError:  # scikit-learn
            return "estimated by PED-ANOVA", evaluators.PedAnovaImportanceEvaluator()


def describe(found: Importance) -> str:
    """A section of ``summary.md``, with what the shares do not say."""
    lines = [f"| {key} | {share:.0%} |" for key, share in sorted(found.shares.items(), key=lambda each: -each[1])]
    of_what = "Importance of each setting relative to the others; combinations are not in it"
    if not np.isnan(found.together):
        lines.append(f"| combinations | {found.together:.0%} |")
        of_what = "Share of the variance between cells"
    return (
        f"## Importance of the settings\n\n{of_what} ({found.method}).\n\n"
        "| setting | share |\n|---|--:|\n" + "\n".join(lines) + "\n\nThis is about these values only: a setting "
        "with values far apart looks important, one with values close together does not. The noise of the seeds is in "
        "it, mostly as combinations. Cells that were stopped are not in it."
    )
