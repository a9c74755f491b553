"""The trials of a search and their order: the whole grid, or the cells that Optuna suggests."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tuning.space.grid import Cell, Grid, format_overrides
from tuning.trials.trial import Outcome, Trial, read_outcome, read_trials, write_trial

SUGGESTIONS = 50
"""Optuna is asked this often for a valid cell that was not tried yet; then a random one is taken."""


class Source(Protocol):
    """Returns the trials of a search one by one.

    Attributes:
        num_trials: number of all trials.
    """

    num_trials: int

    def next(self) -> Trial | None:
        """The next trial to run; None if there is none."""
        ...

    def done(self, trial: Trial, outcome: Outcome) -> None:
        """Record the outcome of a trial."""
        ...


class Maker:
    """Makes the trials of cells, with the cost of each cell.

    Args:
        cells: all cells.
        costs: parameters and GMAC/s of each.
        seeds: of each cell's trials.
        out: folder of the search.
    """

    def __init__(
        self, cells: Sequence[Cell], costs: Sequence[tuple[int, float]], seeds: Sequence[int], out: Path
    ) -> None:
        self.seeds, self.out = seeds, out
        self.costs = {cell.name: cost for cell, cost in zip(cells, costs, strict=True)}

    def make(self, index: int, cell: Cell, seed: int) -> Trial:
        """Make a trial and write it to its folder."""
        trial = Trial(index, cell.overrides, seed, *self.costs[cell.name])
        write_trial(self.out, trial)
        return trial


class GridSource:
    """Every cell with every seed. The first seed of all cells comes first, so that an interrupted search compares all.

    Args:
        cells: of the grid.
        maker: makes their trials.
    """

    def __init__(self, cells: Sequence[Cell], maker: Maker) -> None:
        pairs = [(cell, seed) for seed in maker.seeds for cell in cells]
        self.num_trials = len(pairs)
        trials = [maker.make(index, cell, seed) for index, (cell, seed) in enumerate(pairs)]
        self._left = [trial for trial in trials if not read_outcome(maker.out / trial.name).is_over]

    def next(self) -> Trial | None:
        """See Source."""
        return self._left.pop(0) if self._left else None

    def done(self, trial: Trial, outcome: Outcome) -> None:
        """See Source."""


class OptunaSource:
    """The cells that Optuna's tree-structured Parzen estimator suggests from the results so far.

    A cell is tried once, with every seed. Its value is the mean of their SDRs; it has no value if a seed failed. A
    resumed search passes the results of its finished trials to Optuna again.

    Args:
        cells: all cells that may be suggested.
        maker: makes their trials.
        grid: the values of each setting.
        num_trials: number of all trials, a multiple of the seeds.
        seed: of the sampler.
    """

    def __init__(self, cells: Sequence[Cell], maker: Maker, grid: Grid, num_trials: int, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._maker = optuna, maker
        self._cells = {cell.name: cell for cell in cells}
        self._grid = grid
        self._distributions: dict[str, Any] = {
            key: optuna.distributions.CategoricalDistribution(values) for key, values in grid.items()
        }
        earlier = read_trials(maker.out)
        startup = max(2, num_trials // len(maker.seeds) // 3)
        sampler = optuna.samplers.TPESampler(seed=seed + len(earlier), n_startup_trials=startup)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._random = random.Random(seed + len(earlier))
        self.num_trials = min(num_trials, len(cells) * len(maker.seeds))
        self._next_index = 0
        self._queue: list[Trial] = []
        self._asked: dict[str, Any] = {}
        self._values: dict[str, list[float | None]] = {}
        self._replay(earlier)

    def next(self) -> Trial | None:
        """See Source."""
        if not self._queue and self._next_index < self.num_trials:
            cell = self._suggest()
            for seed in self._maker.seeds:
                self._queue.append(self._maker.make(self._next_index, cell, seed))
                self._next_index += 1
        return self._queue.pop(0) if self._queue else None

    def done(self, trial: Trial, outcome: Outcome) -> None:
        """See Source."""
        name = format_overrides(trial.overrides)
        values = self._values.setdefault(name, [])
        values.append(outcome.metrics.get("sdr") if outcome.is_over else None)
        if len(values) == len(self._maker.seeds):
            known = [value for value in values if value is not None]
            if len(known) == len(values):
                self._study.tell(self._asked[name], sum(known) / len(known))
            else:
                self._study.tell(self._asked[name], state=self._optuna.trial.TrialState.FAIL)

    def _replay(self, earlier: Sequence[Trial]) -> None:
        for trial in earlier:
            self._ask(trial.overrides)
        for trial in earlier:
            self._next_index = trial.index + 1
            outcome = read_outcome(self._maker.out / trial.name)
            if outcome.is_over:
                self.done(trial, outcome)
            else:
                self._queue.append(trial)

    def _suggest(self) -> Cell:
        for _ in range(SUGGESTIONS):
            asked = self._study.ask(self._distributions)
            name = format_overrides(asked.params)
            if name in self._cells and name not in self._asked:
                self._asked[name] = asked
                return self._cells[name]
            self._study.tell(asked, state=self._optuna.trial.TrialState.FAIL)
        cell = self._random.choice([cell for name, cell in self._cells.items() if name not in self._asked])
        self._ask(cell.overrides)
        return cell

    def _ask(self, overrides: Mapping[str, str]) -> None:
        name = format_overrides(overrides)
        if name not in self._asked:
            self._study.enqueue_trial(dict(overrides))
            self._asked[name] = self._study.ask(self._distributions)
