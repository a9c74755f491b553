"""The results of a search: a table of trials, the mean and spread of each cell, and the Pareto front."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.running import atomic
from tuning.analysis.significance import honest_difference, pooled_spread
from tuning.space.grid import format_overrides
from tuning.space.plan import Plan
from tuning.trials.trial import FINISHED, read_outcome, read_trials

CSV = "trials.csv"


def read_results(out: Path) -> pd.DataFrame:
    """One row for each trial of a search's folder: its settings, scores, costs and status.

    Raises:
        ValueError: a file is damaged.
    """
    rows: list[dict[str, Any]] = []
    for trial in read_trials(out):
        outcome = read_outcome(out / trial.name)
        costs = {"parameters": trial.parameters, "gmacs_per_s": trial.gmacs_per_s}
        row = {"trial": trial.index, "cell": format_overrides(trial.overrides), **trial.overrides, "seed": trial.seed}
        end = {"status": outcome.status, "error": outcome.error}
        rows.append({**row, "sdr": np.nan, **outcome.metrics, **costs, **end})
    table = pd.DataFrame(rows)
    if "rtf" not in table:
        table["rtf"] = np.nan
    if "steps" in table:
        table["steps"] = table["steps"].astype("Int64")  # integers, although some trials have none
    last = ["parameters", "gmacs_per_s", "rtf", "status", "error"]
    return table[[*(name for name in table if name not in last), *last]]


def write_csv(out: Path, table: pd.DataFrame) -> None:
    """Write ``trials.csv``."""
    atomic.write_text(out / CSV, table.drop(columns="cell").to_csv(index=False))


@dataclass(frozen=True)
class Comparison:
    """The complete cells of a search (each seed has finished), best first, and the smallest significant difference.

    Attributes:
        cells: a row for each complete cell: its settings, ``mean``, ``spread`` (standard deviation over seeds),
            ``seeds``, ``parameters``, ``gmacs_per_s``, ``rtf``, ``steps``, ``train_minutes``, ``pareto``, and
            ``difference``: the cell is significantly worse than the best if its mean is this much lower, dB. By chance,
            fewer than one search in twenty shows such a difference in any pair. nan with one seed each.
        spread: standard deviation between the seeds of one cell, pooled over cells, dB; nan with one seed each.
        incomplete: a row for each cell of which only some seeds have finished: ``mean`` of the finished seeds,
            ``finished`` and ``seeds``. Such a mean is not comparable with those of complete cells.
    """

    cells: pd.DataFrame
    spread: float
    incomplete: pd.DataFrame


def compare(table: pd.DataFrame, plan: Plan) -> Comparison:
    """Compare the complete cells; the others are listed without a rank."""
    finished = table[table.status == FINISHED]
    counts = finished.groupby("cell", sort=False)["sdr"].agg(["mean", "size"])
    partial = counts[counts["size"] < plan.seeds]
    incomplete = pd.DataFrame({"mean": partial["mean"], "finished": partial["size"], "seeds": plan.seeds})
    finished = finished[~finished.cell.isin(incomplete.index)]
    if finished.empty:
        return Comparison(pd.DataFrame(), np.nan, incomplete)
    groups = finished.groupby("cell", sort=False)
    cells = groups.agg(
        **{key: (key, "first") for key in plan.grid},
        mean=("sdr", "mean"),
        spread=("sdr", "std"),
        seeds=("sdr", "size"),
        parameters=("parameters", "first"),
        gmacs_per_s=("gmacs_per_s", "first"),
        rtf=("rtf", "min"),
        steps=("steps", "mean"),
        train_minutes=("train_minutes", "mean"),
    ).sort_values("mean", ascending=False, kind="stable")
    cells["pareto"] = pareto(cells["gmacs_per_s"].to_numpy(), cells["mean"].to_numpy())
    spread, freedom = pooled_spread([list(values) for _, values in groups["sdr"]])
    best = int(cells["seeds"].iloc[0])
    cells["difference"] = [honest_difference(spread, len(cells), freedom, best, int(n)) for n in cells["seeds"]]
    return Comparison(cells, spread, incomplete)


def pareto(cost: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Which points are on the Pareto front: no other point has at least the value at less cost, or more at no more."""
    return np.array(
        [
            not np.any(((cost <= c) & (value > v)) | ((cost < c) & (value >= v)))
            for c, v in zip(cost, value, strict=True)
        ]
    )


def effects(comparison: Comparison, plan: Plan) -> dict[str, pd.DataFrame]:
    """For each setting with several values: mean, lowest and highest cell of each value, over all other settings."""
    cells = comparison.cells
    found = {}
    for key, values in plan.grid.items():
        if len(values) < 2 or cells.empty:
            continue
        groups = cells.groupby(key, sort=False)["mean"]
        table = groups.agg(["mean", "min", "max", "size"])
        found[key] = table.reindex([value for value in values if value in table.index])
    return found
