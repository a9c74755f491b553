"""The trials of a search before it starts: which cells it can train, and what each costs."""

from collections.abc import Sequence

from models.macs import count_parameters, gmacs_per_second
from models.presets.preset import Preset
from tuning.space.budget import Budget
from tuning.space.grid import Cell, Grid, Rejection, check_values, expand, format_overrides, sample
from tuning.space.plan import Plan
from tuning.space.ranges import is_open
from tuning.space.rungs import rung_sizes, rungs_of


def plan_cells(preset: Preset, grid: Grid, budget: Budget, device: str) -> tuple[list[Cell], list[Rejection]]:
    """The cells of a grid that are valid and that the budget can train, and the others with the reason.

    Of a grid with ranges: some of its cells, drawn at random.

    Raises:
        ValueError: a setting or value is invalid in every cell, or no cell is left.
    """
    check_values(preset, grid)
    found, rejections = sample(preset, grid) if is_open(grid) else expand(preset, grid)
    cells = []
    for cell in found:
        try:
            budget.apply(cell.preset, device)
            cells.append(cell)
        except ValueError as error:
            rejections.append(Rejection(cell.overrides, str(error)))
    if not cells:
        raise ValueError(rejections[-1].reason)
    return cells, rejections


def cost_of(cell: Cell) -> tuple[int, float]:
    """The number of parameters and the GMAC/s of a cell."""
    return count_parameters(cell.preset), gmacs_per_second(cell.preset, overlapped=True)


def list_trials(plan: Plan, cells: Sequence[Cell], rejections: Sequence[Rejection]) -> list[tuple[int, float]]:
    """Print the rejected combinations with the reason, and each cell with its cost.

    Returns:
        The number of parameters and the GMAC/s of each cell.
    """
    for rejection in rejections:
        print(f"left out: {format_overrides(rejection.overrides)}: {rejection.reason}")
    seeds = f" ({len(cells)} cells, {plan.seeds} seeds)" if plan.seeds > 1 else ""
    if plan.is_open:
        print(f"{plan.trials} trials out of ranges, {plan.budget} each; {len(cells)} cells as examples:")
    elif plan.search == "optuna":
        print(f"{min(plan.trials, len(cells) * plan.seeds)} trials out of {len(cells)} cells, {plan.budget} each")
    else:
        print(f"{len(cells) * plan.seeds} trials{seeds}, {plan.budget} each")
    if plan.scheduler == "halving":
        amounts = rungs_of(plan, len(cells))
        sizes = rung_sizes(len(cells), plan.eta, len(amounts))
        text = ", ".join(f"{size} at {amount:g}" for size, amount in zip(sizes, amounts, strict=True))
        print(f"rungs, cells at {plan.budget.kind}: {text}")
    known: dict[str, tuple[int, float]] = {}
    costs = []
    for index, cell in enumerate(cells):
        key = repr((cell.preset.model, cell.preset.separate))
        if key not in known:
            known[key] = cost_of(cell)
        parameters, gmacs = known[key]
        costs.append((parameters, gmacs))
        steps = (
            f"{plan.budget.apply(cell.preset, plan.device).train.steps:9d} steps" if plan.budget.kind == "flops" else ""
        )
        print(f"{index:4d}  {parameters / 1e6:8.3f} M  {gmacs:8.3f} GMAC/s{steps}  {cell.name}", flush=True)
    return costs
