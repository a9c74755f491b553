"""The rungs of successive halving: after how much of the budget how many cells go on."""

import math
from collections.abc import Sequence

from tuning.space.budget import Budget
from tuning.space.extension import budgets_of
from tuning.space.plan import Plan


def rungs_of(plan: Plan, num_cells: int) -> list[float]:
    """The amounts of a plan's rungs, see ``rung_amounts``."""
    return rung_amounts(budgets_of(plan), plan.eta, len(rung_sizes(num_cells, plan.eta, plan.rungs)))


def rung_sizes(num_cells: int, factor: int, num_rungs: int) -> list[int]:
    """The number of cells in each rung: after each, the best one in ``factor`` goes on, rounded up.

    Args:
        num_cells: in the first rung.
        factor: how many times fewer cells, and how many times more budget, the next rung has.
        num_rungs: 0 for as many as leave at most ``factor`` cells for the last, two at least.
    """
    sizes = [num_cells]
    while len(sizes) < num_rungs or (not num_rungs and sizes[-1] > 1 and (sizes[-1] > factor or len(sizes) == 1)):
        sizes.append(math.ceil(sizes[-1] / factor))
    return sizes


def rung_amounts(budgets: Sequence[Budget], factor: int, num_rungs: int) -> list[float]:
    """The amounts of the budget at which cells are compared; the last is the whole budget.

    Args:
        budgets: the one that the search began with, and each to which it was extended, which adds a rung.
        factor: of two rungs of the first budget.
        num_rungs: of the first budget.

    Raises:
        ValueError: the first rung is less than a step, or than a millionth of the budget.
    """
    first = budgets[0]
    least, most_parts = ("a step", first.amount) if first.kind == "steps" else ("a millionth of it", 1e6)
    if factor ** (num_rungs - 1) > most_parts:
        raise ValueError(
            f"--rungs: {num_rungs} rungs of {first} begin with less than {least}; take fewer, or a larger budget"
        )
    amounts = [first.amount / factor**place for place in reversed(range(num_rungs))]
    return [*amounts, *(budget.amount for budget in budgets[1:])]
