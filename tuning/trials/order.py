"""The trials of a search and their order: the whole grid. Other orders are in ``optuna_source`` and ``halving``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tuning.space.grid import Cell, format_overrides
from tuning.trials.records import Outcome, Trial, read_outcome, read_trials, write_trial


class Source(Protocol):
    """Returns the trials of a search one by one.

    Attributes:
        num_trials: number of all trials; of a trial that is paused, each part counts.
        total: the budget of all of them, in budgets of a trial.
    """

    num_trials: int
    total: float

    @property
    def is_waiting(self) -> bool:
        """Whether there is no next trial yet, but may be one when the running trials are done."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether all trials are done."""
        ...

    def next(self) -> Trial | None:
        """The next trial to run; None if there is none."""
        ...

    def done(self, trial: Trial, outcome: Outcome) -> None:
        """Record the outcome of a trial."""
        ...


class Maker:
    """Makes the trials of cells, with the cost of each cell; a trial that the folder holds keeps its number.

    Args:
        cells: all cells.
        costs: parameters and GMAC/s of each.
        seeds: of each cell's trials.
        out: folder of the search.
        amount: budget of each trial.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        costs: Sequence[tuple[int, float]],
        seeds: Sequence[int],
        out: Path,
        amount: float = 0.0,
    ) -> None:
        self.seeds, self.out, self.amount = seeds, out, amount
        self.costs = {cell.name: cost for cell, cost in zip(cells, costs, strict=True)}
        earlier = read_trials(out)
        self._numbers = {(format_overrides(trial.overrides), trial.seed): trial.index for trial in earlier}
        self._next_number = max((trial.index + 1 for trial in earlier), default=0)

    def add_cost(self, cell: Cell, parameters: int, gmacs_per_s: float) -> None:
        """Tell the cost of a cell that was not known before."""
        self.costs[cell.name] = parameters, gmacs_per_s

    def make(self, cell: Cell, seed: int, until: float | None = None) -> Trial:
        """Make a trial and write it to its folder."""
        number = self._numbers.setdefault((cell.name, seed), self._next_number)
        self._next_number = max(self._next_number, number + 1)
        trial = Trial(number, cell.overrides, seed, *self.costs[cell.name], until)
        write_trial(self.out, trial)
        return trial

    def folders(self, name: str) -> list[Path]:
        """The folders of a cell's trials."""
        return [
            self.out / Trial(number, {}, seed, 0, 0.0).name
            for (cell, seed), number in self._numbers.items()
            if cell == name
        ]

    def outcome(self, trial: Trial) -> Outcome:
        """What the folder says of a trial."""
        return read_outcome(self.out / trial.name)


class GridSource:
    """Every cell with every seed. The first seed of all cells comes first, so that an interrupted search compares all.

    Args:
        cells: of the grid.
        maker: makes their trials.
    """

    is_waiting = False

    def __init__(self, cells: Sequence[Cell], maker: Maker) -> None:
        trials = [maker.make(cell, seed) for seed in maker.seeds for cell in cells]
        self.num_trials, self.total = len(trials), float(len(trials))
        self._left = [trial for trial in trials if not maker.outcome(trial).covers(maker.amount)]
        self._running: set[int] = set()

    @property
    def is_complete(self) -> bool:
        """See Source."""
        return not self._left and not self._running

    def next(self) -> Trial | None:
        """See Source."""
        if not self._left:
            return None
        trial = self._left.pop(0)
        self._running.add(trial.index)
        return trial

    def done(self, trial: Trial, outcome: Outcome) -> None:
        """See Source."""
        self._running.discard(trial.index)
