"""The plots of a search: SDR against cost, the effect of each setting, and the learning curves."""

from pathlib import Path

import numpy as np
import pandas as pd

from models.running import atomic
from tuning.analysis.long_values import numbers_of, shortened
from tuning.analysis.results import NO_VALUE, Comparison, effects
from tuning.space.plan import Plan
from tuning.trials.records import Trial, read_rows, read_trials

PARETO, EFFECTS, CURVES = "pareto.png", "effects.png", "curves.png"
LABELLED = 12
DPI = 100


def write_plots(out: Path, comparison: Comparison, plan: Plan) -> None:
    """Write ``pareto.png``, ``effects.png`` and ``curves.png``; one without data is not written."""
    if not comparison.cells.empty:
        _save(plot_pareto(comparison, plan), out / PARETO)
        if found := effects(comparison, plan):
            _save(plot_effects(found, comparison, plan), out / EFFECTS)
    trials = [trial for trial in read_trials(out) if read_rows(out / trial.name)]
    if trials:
        _save(plot_curves(out, trials, plan), out / CURVES)


def plot_pareto(comparison: Comparison, plan: Plan):
    """SDR of the cells against GMAC/s, with bars for the spread of the seeds and a line along the front."""
    figure, axes = _figure(7.5, 5)
    cells = comparison.cells
    front = cells[cells.pareto].sort_values("gmacs_per_s")
    axes.errorbar(
        cells.gmacs_per_s, cells["mean"], yerr=cells.spread.fillna(0), fmt="o", color="C0", capsize=2, label="cells"
    )
    axes.plot(
        front.gmacs_per_s, front["mean"], color="C1", marker="o", markersize=12, fillstyle="none", label="Pareto front"
    )
    varied, numbers = plan.varied, numbers_of(plan.grid)
    named = cells if len(cells) <= LABELLED else front
    for _, cell in named.iterrows():
        text = " ".join(shortened(str(cell[key]), numbers) for key in varied)
        axes.annotate(text, (cell.gmacs_per_s, cell["mean"]), (4, 4), textcoords="offset points", fontsize=7)
    if cells.gmacs_per_s.max() > 5 * cells.gmacs_per_s.min():
        axes.set_xscale("log")
    axes.margins(x=0.12)  # room for the last name
    axes.set_xlabel("GMAC per second of stereo audio")
    axes.set_ylabel("validation SDR (dB)")
    seeds = cells.seeds.max()
    axes.set_title(f"{', '.join(varied) or 'one cell'}: {plan.budget} each" + (f", {seeds} seeds" if seeds > 1 else ""))
    axes.legend(loc="lower right")  # "best" is slow, and warns on a busy machine
    return figure


def plot_effects(found: dict[str, pd.DataFrame], comparison: Comparison, plan: Plan):
    """A panel for each setting: the cells of each value as points, their mean as a line."""
    numbers = numbers_of(plan.grid)
    figure, panels = _figure(3.6 * len(found) + 0.8, 3.8, len(found))
    for axes, (key, table) in zip(np.atleast_1d(panels), found.items(), strict=True):
        values = list(table.index)
        for place, value in enumerate(values):
            sdrs = comparison.cells.loc[comparison.cells[key] == value, "mean"]
            axes.plot([place] * len(sdrs), sdrs, "o", color="C0", alpha=0.5, markersize=4)
        axes.plot(range(len(values)), table["mean"], color="C1", marker="_", markersize=14)
        labels = [shortened(str(value), numbers) for value in values]
        axes.set_xticks(range(len(values)), labels, rotation=30, ha="right", fontsize=8)
        axes.set_title(key, fontsize=10)
        axes.set_ylabel("validation SDR (dB)")
    return figure


def plot_curves(out: Path, trials: list[Trial], plan: Plan):
    """Validation SDR of every trial against the budget used so far; one colour for each cell."""
    figure, axes = _figure(7.5, 5)
    clock = {"steps": "step", "flops": "step"}.get(
        plan.budget.kind, "cpu_minutes" if plan.device == "cpu" else "minutes"
    )
    column = "valid_sdr" if plan.metric == "mean" else f"valid_{plan.metric}"
    varied, numbers = plan.varied, numbers_of(plan.grid)
    colours: dict[str, str] = {}
    for trial in trials:
        name = " ".join(shortened(str(trial.overrides.get(key, NO_VALUE)), numbers) for key in varied) or "the cell"
        is_new = name not in colours
        colour = colours.setdefault(name, f"C{len(colours) % 10}")
        rows = [row for row in read_rows(out / trial.name) if column in row]
        label = name if is_new else None
        axes.plot([r[clock] for r in rows], [r[column] for r in rows], ".-", color=colour, alpha=0.7, label=label)
    axes.set_xlabel({"step": "optimiser steps", "cpu_minutes": "processor minutes"}.get(clock, clock))
    axes.set_ylabel("validation SDR (dB)")
    if len(colours) <= 2 * LABELLED:
        axes.legend(loc="lower right", fontsize=7)
    return figure


def _figure(width: float, height: float, columns: int = 1):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, columns)


def _save(figure, path: Path) -> None:
    with atomic.replacing(path) as part:
        figure.savefig(part, dpi=DPI, format="png")
