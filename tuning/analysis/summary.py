"""The written summary of a search: ``summary.md``."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from models.running import atomic
from tuning.analysis.conclusion import conclusion
from tuning.analysis.extrapolation import Curve, read_curves
from tuning.analysis.forecast import forecast
from tuning.analysis.importance import describe, importance
from tuning.analysis.long_values import legend, numbers_of, shortened
from tuning.analysis.results import Comparison, compare, effects, hypervolume, read_results
from tuning.space.budget import Budget
from tuning.space.plan import Plan
from tuning.trials.halving import Rung, read_rungs
from tuning.trials.records import FAILED, FINISHED, STOPPED, UNFINISHED

SUMMARY = "summary.md"
ROWS = 40


def write_summary(out: Path, table: pd.DataFrame, comparison: Comparison, plan: Plan) -> None:
    """Write ``summary.md``."""
    text = summarise(table, comparison, plan, read_rungs(out), read_curves(out, table, plan))
    atomic.write_text(out / SUMMARY, text)


def write_summary_at(out: Path, plan: Plan, at: float) -> Path:
    """Write what a search shows at a smaller amount of its budget; returns the file, ``summary-at-N.md``.

    The cells that came so far are compared by the seeds that all of them have: ``--extend --seeds`` after halving
    trains new seeds for the last cells only, and the others still count.

    Raises:
        ValueError: the amount is not a part of the budget.
    """
    if not 0 < at <= plan.budget.amount:
        raise ValueError(f"--at: expected an amount above 0 and at most {plan.budget.amount:g}, got {at:g}")
    table = read_results(out, at)
    seeds = _shared_seeds(table)
    part = replace(plan, budget=Budget(plan.budget.kind, at), seeds=len(seeds) or plan.seeds)
    note = (
        f"**At {part.budget} of {plan.budget}.** Each trial is taken at its first validation from there on. A linear "
        "schedule ends with the whole budget, so here no trial has been annealed; a search with this budget alone may "
        "give another order.\n\n"
    )
    if len(seeds) not in (0, table.seed.nunique()):
        table = table[table.seed.isin(seeds)]
        kept = ", ".join(map(str, seeds))
        note += f"Compared by seed {kept} only: not all cells that came so far have the others.\n\n"
    path = out / f"summary-at-{at:g}.md"
    atomic.write_text(path, note + summarise(table, compare(out, table, part), part))
    return path


def _shared_seeds(table: pd.DataFrame) -> list[int]:
    """The seeds of which all cells with any finished trial have one."""
    finished = table[table.status == FINISHED]
    return [int(seed) for seed, cells in finished.groupby("seed").cell if cells.nunique() == finished.cell.nunique()]


def summarise(
    table: pd.DataFrame, comparison: Comparison, plan: Plan, rungs: Sequence[Rung] = (), curves: Sequence[Curve] = ()
) -> str:
    """The summary as Markdown: the search, its cells, the significant differences, and the effects of settings."""
    counts = table.status.value_counts()
    states = ", ".join(f"{counts[name]} {name}" for name in (FINISHED, STOPPED, FAILED, UNFINISHED) if name in counts)
    metric = "mean of the stems" if plan.metric == "mean" else plan.metric
    numbers = numbers_of(plan.grid)
    head = [
        f"# Search: {', '.join(plan.grid)}",
        f"Preset `{plan.preset_name}`; budget of each trial: {plan.budget} ({plan.device}); {states}.\n"
        f"Data: {plan.data}. Validation SDR (global SDR, mean over tracks, {metric}), dB.",
        "```\npython -m tuning " + " ".join(map(_quoted, plan.arguments)) + "\n```",
        *legend(numbers),
    ]
    parts = []
    if comparison.cells.empty:
        parts.append("No cell is complete: every cell has a seed that has not finished.")
    else:
        parts += [_cells(comparison, plan), *conclusion(comparison, plan)]
        parts += [*_effects(comparison, plan), *_importance(comparison, plan)]
    parts += [*_rungs(rungs, plan), *forecast(curves), *_incomplete(comparison), *_others(table)]
    return "\n\n".join([*head, *(shortened(part, numbers) for part in parts)]) + "\n"


def _cells(comparison: Comparison, plan: Plan) -> str:
    titles = [*plan.grid, "SDR", "± seeds", "n", "parameters", "GMAC/s", "RTF", "steps", "minutes", "front"]
    lines = [_row(titles), "|" + "---|" * len(plan.grid) + "--:|" * 8 + "---|"]
    for _, cell in comparison.cells.head(ROWS).iterrows():
        spread = "" if math.isnan(cell.spread) else f"{cell.spread:.2f}"
        rtf = "" if math.isnan(cell.rtf) else f"{cell.rtf:.3f}"
        costs = [f"{cell.parameters / 1e6:.2f} M", f"{cell.gmacs_per_s:.2f}", rtf]
        spent = [f"{cell.steps:.0f}", f"{cell.train_minutes:.1f}", "yes" if cell.pareto else ""]
        lines.append(
            _row([*(cell[key] for key in plan.grid), f"{cell['mean']:.2f}", spread, cell.seeds, *costs, *spent])
        )
    if len(comparison.cells) > ROWS:
        lines.append(f"\nThe other {len(comparison.cells) - ROWS} cells are in `trials.csv`.")
    note = (
        "\nGMAC/s: 10^9 multiply-accumulates for a second of stereo audio, overlap included; RTF: processor seconds "
        "for the same on one thread; minutes: processor time of the trainer; front: no cell is better at the same cost."
    )
    area = hypervolume(comparison.cells)
    if not math.isnan(area):
        note += (
            f" The front's hypervolume is {area:.3f}: its share of the rectangle from the worst corner (lowest SDR, "
            "highest cost) to the best one. Another search has other corners, so their shares cannot be compared."
        )
    return "## Cells\n\n" + "\n".join(lines) + "\n" + note


def _rungs(rungs: Sequence[Rung], plan: Plan) -> list[str]:
    if not rungs:
        return []
    lines = ["| until | cells | go on | best | SDR | next that does not go on | SDR |", "|---|--:|--:|---|--:|---|--:|"]
    for rung in rungs:
        known = {name: score for name, score in rung.scores.items() if score is not None}
        order = sorted(known, key=lambda name: -known[name])
        ends = [*order[:1], *(name for name in order if name not in rung.kept), "", ""][:2]
        shown = [text for name in ends for text in ((f"`{name}`", f"{known[name]:.2f}") if name else ("none", ""))]
        lines.append(_row([f"{plan.budget.kind}={rung.until:g}", len(rung.scores), len(rung.kept), *shown]))
    note = (
        "\n\nCells that did not go on are not ranked against those that did: at the whole budget their order may be "
        "another one."
    )
    return ["## Rungs\n\n" + "\n".join(lines) + note]


def _importance(comparison: Comparison, plan: Plan) -> list[str]:
    found = importance(comparison, plan)
    return [describe(found)] if found else []


def _effects(comparison: Comparison, plan: Plan) -> list[str]:
    parts = []
    for key, table in effects(comparison, plan).items():
        lines = [_row([key, "mean SDR", "lowest cell", "highest cell", "cells"]), "|---|--:|--:|--:|--:|"]
        for value, row in table.iterrows():
            lines.append(_row([value, *(f"{row[name]:.2f}" for name in ("mean", "min", "max")), int(row["size"])]))
        parts.append("\n".join(lines))
    return ["## Effect of each setting\n\n" + "\n\n".join(parts)] if parts else []


def _incomplete(comparison: Comparison) -> list[str]:
    if comparison.incomplete.empty:
        return []
    lines = [
        f"- `{cell}`: {row['finished']:.0f} of {row['seeds']:.0f} seeds finished, mean of these {row['mean']:.2f} dB"
        for cell, row in comparison.incomplete.iterrows()
    ]
    title = "## Incomplete cells, not ranked\n\nTheir other seeds failed, were stopped early or have not finished.\n\n"
    return [title + "\n".join(lines)]


def _others(table: pd.DataFrame) -> list[str]:
    parts = []
    for status, title in ((FAILED, "## Failed"), (STOPPED, "## Stopped early"), (UNFINISHED, "## Not finished")):
        lines = []
        for _, row in table[table.status == status].iterrows():
            reason = row.error or (f"{row.sdr:.2f} dB at {row.budget_used:.0%}" if status == STOPPED else "")
            lines.append(f"- trial {row.trial}: `{row.cell}` seed {row.seed}{': ' + reason if reason else ''}")
        if lines:
            parts.append(title + "\n\n" + "\n".join(lines))
    return parts


def _row(values: list) -> str:
    return "| " + " | ".join(map(str, values)) + " |"


def _quoted(argument: str) -> str:
    import shlex

    return shlex.quote(argument)
