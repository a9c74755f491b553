"""The results of a search: a table of trials, the mean and spread of each cell, and the Pareto front."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.running import atomic
from tuning.analysis.cross_fit import CrossFit, cross_fit
from tuning.analysis.paired import Uncertainty, compare_pairs, uncertainty
from tuning.analysis.track_table import TrackTable, track_table
from tuning.space.grid import format_overrides
from tuning.space.plan import Plan, read_plan
from tuning.trials.records import FINISHED, STOPPED, read_outcome, read_rows, read_trials, sdr_of

CSV, PAIRS, TRACK_SCORES = "trials.csv", "pairs.csv", "tracks.csv"
TOLERANCE = 0.001
"""How much less than an amount still counts as it: times in metrics are rounded."""
NO_VALUE = "-"
"""Of a conditional setting in a trial in which it does not count."""


def read_results(out: Path, at: float | None = None) -> pd.DataFrame:
    """One row for each trial of a search's folder: its settings, scores, costs and status.

    Args:
        out: the folder.
        at: an amount of the budget: what trials had found until then; a trial that came so far counts as finished.

    Raises:
        ValueError: a file is damaged, or no trial has begun.
        FileNotFoundError: the folder holds no search.
    """
    rows: list[dict[str, Any]] = []
    plan = read_plan(out)
    amount = plan.budget.amount
    for trial in read_trials(out):
        outcome = read_outcome(out / trial.name)
        costs = {"parameters": trial.parameters, "gmacs_per_s": trial.gmacs_per_s}
        settings = {**dict.fromkeys(plan.grid, NO_VALUE), **trial.overrides}
        row = {"trial": trial.index, "cell": format_overrides(trial.overrides), **settings, "seed": trial.seed}
        end: dict[str, Any] = {"status": outcome.status_at(amount), "error": outcome.error}
        if outcome.is_over and not outcome.covers(amount) and outcome.until is not None:
            end["budget_used"] = outcome.until / amount
        metrics = dict(outcome.metrics)
        if at is not None:
            used = {**metrics, **end}.get("budget_used", np.nan) * amount
            reached = _until(read_rows(out / trial.name), plan, used, at)
            metrics |= _metrics_of(reached, plan.metric)
            end = {"status": FINISHED if reached else STOPPED, "error": "" if reached else f"it did not reach {at:g}"}
        rows.append({**row, "sdr": np.nan, **metrics, **costs, **end})
    if not rows:
        raise ValueError(f"{out}: expected trials, got none yet; go on with the search (--resume)")
    table = pd.DataFrame(rows)
    if "rtf" not in table:
        table["rtf"] = np.nan
    if "steps" in table:
        table["steps"] = table["steps"].astype("Int64")  # integers, although some trials have none
    last = ["parameters", "gmacs_per_s", "rtf", "status", "error"]
    return table[[*(name for name in table if name not in last), *last]]


def _until(rows: Sequence[Mapping[str, float]], plan: Plan, used: float, at: float) -> list[Mapping[str, float]]:
    """The rows of a trial up to the first that has used an amount of the budget; none if it did not get there.

    Args:
        rows: with a validation.
        plan: of the search.
        used: amount at the last row; nan if it is not known, as in a trial without an outcome. It tells the flops.
        at: the asked amount.
    """
    clock = "step" if plan.budget.kind != "minutes" else "cpu_minutes" if plan.device == "cpu" else "minutes"
    unit = used / rows[-1]["step"] if rows and plan.budget.kind == "flops" else 1.0
    for place, row in enumerate(rows):
        if row[clock] * unit >= at * (1 - TOLERANCE):
            return list(rows[: place + 1])
    return []


def _metrics_of(rows: Sequence[Mapping[str, float]], metric: str) -> dict[str, Any]:
    if not rows:
        return {"sdr": np.nan, "budget_used": 0.0}
    best, last = max(rows, key=lambda row: sdr_of(row, metric)), rows[-1]
    stems = {name: value for name, value in best.items() if name.startswith("valid_") and name != "valid_sdr"}
    spent = {"steps": int(last["step"]), "train_minutes": last["cpu_minutes"], "wall_minutes": last["minutes"]}
    return {"sdr": sdr_of(best, metric), **stems, **spent}


def write_csv(out: Path, table: pd.DataFrame, comparison: "Comparison") -> None:
    """Write ``trials.csv`` and, where cells are complete, ``pairs.csv`` and ``tracks.csv`` (cells, seeds, tracks)."""
    atomic.write_text(out / CSV, table.drop(columns="cell").to_csv(index=False))
    if comparison.tracks:
        atomic.write_text(out / PAIRS, comparison.pairs.to_csv(index=False))
        atomic.write_text(out / TRACK_SCORES, comparison.tracks.to_frame().to_csv(index=False))


@dataclass(frozen=True)
class Comparison:
    """The complete cells of a search (each seed has finished), best first, and the differences between them.

    Attributes:
        cells: a row for each complete cell: its settings, ``mean``, ``spread`` (standard deviation over seeds),
            ``seeds``, ``parameters``, ``gmacs_per_s``, ``rtf``, ``steps``, ``train_minutes``, ``pareto``, and ``holm``:
            p value of its difference from the best cell, which counts all pairs; nan with one seed and one track.
        pairs: all pairs of complete cells, see ``compare_pairs``.
        doubt: the uncertainty of a difference; None without a complete cell.
        tracks: the scores of each seed and track; None without a complete cell.
        judged: the winner on seeds and tracks that did not choose it; None if neither can be halved.
        incomplete: a row for each cell of which only some seeds have finished: ``mean`` of the finished seeds,
            ``finished`` and ``seeds``. Such a mean is not comparable with those of complete cells.
    """

    cells: pd.DataFrame
    pairs: pd.DataFrame
    doubt: Uncertainty | None
    tracks: TrackTable | None
    judged: CrossFit | None
    incomplete: pd.DataFrame


def compare(out: Path, table: pd.DataFrame, plan: Plan) -> Comparison:
    """Compare the complete cells of a search's folder; the others are listed without a rank.

    Raises:
        ValueError: a file of scores is damaged.
    """
    finished = table[table.status == FINISHED]
    counts = finished.groupby("cell", sort=False)["sdr"].agg(["mean", "size"])
    partial = counts[counts["size"] < plan.seeds]
    incomplete = pd.DataFrame({"mean": partial["mean"], "finished": partial["size"], "seeds": plan.seeds})
    finished = finished[~finished.cell.isin(incomplete.index)]
    if finished.empty:
        return Comparison(pd.DataFrame(), pd.DataFrame(), None, None, None, incomplete)
    groups = finished.groupby("cell", sort=False)
    cells = groups.agg(
        **{key: (key, "first") for key in plan.grid},
        spread=("sdr", "std"),
        seeds=("sdr", "size"),
        parameters=("parameters", "first"),
        gmacs_per_s=("gmacs_per_s", "first"),
        rtf=("rtf", "min"),
        steps=("steps", "mean"),
        train_minutes=("train_minutes", "mean"),
    )
    tracks = track_table(out, finished, plan.metric)
    cells["mean"] = pd.Series(tracks.scores.mean(axis=(1, 2)), index=pd.Index(tracks.cells))
    cells = cells.sort_values("mean", ascending=False, kind="stable")
    cells["pareto"] = pareto(cells["gmacs_per_s"].to_numpy(), cells["mean"].to_numpy())
    pairs = compare_pairs(tracks.cells, tracks.scores)
    from_best = pairs[pairs["first"] == cells.index[0]].set_index("second")
    cells["holm"] = from_best.holm.reindex(cells.index)
    judged = cross_fit(tracks.curves)
    return Comparison(cells, pairs, uncertainty(tracks.scores), tracks, judged, incomplete)


def pareto(cost: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Which points are on the Pareto front: no other point has at least the value at less cost, or more at no more."""
    return np.array(
        [
            not np.any(((cost <= c) & (value > v)) | ((cost < c) & (value >= v)))
            for c, v in zip(cost, value, strict=True)
        ]
    )


def hypervolume(cells: pd.DataFrame) -> float:
    """The area between the Pareto front and the worst corner (highest cost and lowest SDR of all cells), 0 to 1.

    1 would be the best SDR at the lowest cost. Two searches can be compared by it only if their corners are alike: one
    very bad cell more makes the rectangle, and so the share, larger.

    Source: Zitzler & Thiele 1998.

    Args:
        cells: with ``gmacs_per_s``, ``mean`` and ``pareto``.

    Returns:
        The area as a share of the rectangle of all cells; nan if they do not differ in both.
    """
    cost, value = cells["gmacs_per_s"], cells["mean"]
    widths, heights = cost.max() - cost.min(), value.max() - value.min()
    if not widths or not heights:
        return np.nan
    front = cells[cells.pareto].sort_values("gmacs_per_s").drop_duplicates("gmacs_per_s")
    ends = [*front["gmacs_per_s"].iloc[1:], cost.max()]
    area = ((np.array(ends) - front["gmacs_per_s"]) * (front["mean"] - value.min())).sum()
    return float(area / (widths * heights))


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
