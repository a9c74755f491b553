"""A finished search with more: a larger budget, more seeds, more values, more trials."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tuning.space.budget import Budget, parse_budget
from tuning.space.grid import Grid
from tuning.space.plan import Plan


def extended(plan: Plan, earlier: Plan, out: Path) -> Plan:
    """The plan of a search that is extended, with the budgets that its trials go through.

    Args:
        plan: as asked for now.
        earlier: of the folder.
        out: folder of the search.

    Raises:
        ValueError: something is less than before, or cannot be changed.
    """
    if plan.budget.kind != earlier.budget.kind or plan.budget.amount < earlier.budget.amount:
        raise ValueError(f"--extend: expected at least --budget {earlier.budget} as in {out}, got {plan.budget}")
    for name in ("seeds", "trials"):
        if getattr(plan, name) < getattr(earlier, name):
            raise ValueError(f"--extend: expected at least --{name} {getattr(earlier, name)} as in {out}")
    _check_wider(plan.grid, earlier.grid, out)
    longer = plan.budget != earlier.budget
    if plan.scheduler == "asha" and (longer or plan.grid != earlier.grid):
        raise ValueError("--extend: expected more seeds alone with --scheduler asha, which has stopped trials already")
    if plan.scheduler == "halving" and plan.grid != earlier.grid:
        raise ValueError("--extend: expected the same values with --scheduler halving, whose rungs are decided")
    if plan.search == "optuna" and (longer or plan.grid != earlier.grid or plan.seeds != earlier.seeds):
        raise ValueError("--extend: expected more --trials alone with --search optuna")
    budgets = (*earlier.earlier, str(earlier.budget)) if longer else earlier.earlier
    plan = replace(plan, earlier=budgets)
    same = {name: getattr(earlier, name) for name in ("grid", "budget", "seeds", "trials", "earlier")}
    replace(plan, **same).check_same(earlier, out, "--extend")
    return plan


def _check_wider(grid: Grid, earlier: Grid, out: Path) -> None:
    """Raise ValueError if a setting or a value of before is missing, or a setting is new."""
    if list(grid) != list(earlier):
        raise ValueError(f"--extend: expected the settings {', '.join(earlier)} as in {out}, got {', '.join(grid)}")
    for key, values in earlier.items():
        if missing := [value for value in values if value not in grid[key]]:
            raise ValueError(f"--extend: expected the values of {key} in {out} and more, {missing[0]} is missing")


def joined(plans: Sequence[Plan], folders: Sequence[Path]) -> Plan:
    """The plan of several searches together: all values and all seeds.

    Raises:
        ValueError: the searches differ in anything else, or their seeds leave a gap.
    """
    first = plans[0]
    seeds: set[int] = set()
    grid: Grid = dict(first.grid)
    for plan, folder in zip(plans, folders, strict=True):
        if plan.scheduler != "fifo" or plan.search != "grid":
            raise ValueError(f"{folder}: expected a search of a grid with --scheduler fifo, which alone can be merged")
        if list(plan.grid) != list(grid):
            raise ValueError(f"{folder}: expected the settings {', '.join(grid)}, got {', '.join(plan.grid)}")
        seeds |= set(plan.seed_numbers)
        grid = {key: tuple(dict.fromkeys((*grid[key], *values))) for key, values in plan.grid.items()}
        _like_first(plan, first, folders[0])
    if sorted(seeds) != list(range(min(seeds), min(seeds) + len(seeds))):
        raise ValueError(
            f"expected seeds without a gap, got {', '.join(map(str, sorted(seeds)))}; train the others first"
        )
    train = replace(first.preset.train, seed=min(seeds))
    preset = replace(first.preset, train=train)
    return replace(first, preset=preset, grid=grid, seeds=len(seeds))


def _like_first(plan: Plan, first: Plan, folder: Path) -> None:
    train = replace(plan.preset.train, seed=first.preset.train.seed)
    like = replace(plan, preset=replace(plan.preset, train=train), grid=first.grid, seeds=first.seeds)
    like.check_same(first, folder, "merge")


def budgets_of(plan: Plan) -> list[Budget]:
    """All budgets that trials go through, the first one first."""
    return [*(parse_budget(text) for text in plan.earlier), plan.budget]
