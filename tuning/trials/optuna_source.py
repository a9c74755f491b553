"""The cells that Optuna suggests, one after another, from the results so far."""

import random
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tuning.space.grid import Cell, Grid, format_overrides
from tuning.space.ranges import Range, draw, ranges_of
from tuning.trials.order import Maker
from tuning.trials.records import Outcome, Trial, read_trials

SUGGESTIONS = 50
"""Optuna is asked this often for a valid cell that was not tried yet; then a random one is taken."""
RANDOM_DRAWS = 1000
NOTHING_NEW = f"--grid: of {RANDOM_DRAWS} random combinations none is valid and new"

Find = Callable[[Mapping[str, str]], Cell | None]
"""The cell of some settings; None if they are invalid."""


class OptunaSource:
    """The cells that Optuna's tree-structured Parzen estimator suggests from the results so far.

    A cell is tried once, with every seed. Its value is the mean of their SDRs, with two objectives also its GMAC/s; it
    has no value if a seed failed. A resumed search passes the results of its finished trials to Optuna again.

    Args:
        cells: all cells that may be suggested; with ``find``, some of them.
        maker: makes their trials.
        grid: the values or the range of each setting.
        num_trials: number of all trials, a multiple of the seeds.
        seed: of the sampler.
        objectives: ``sdr``, and perhaps ``gmacs``.
        find: makes cells of a grid with ranges, and tells their cost to ``maker``; None for a grid without.

    Raises:
        ValueError: an invalid range.
    """

    is_waiting = False

    def __init__(
        self,
        cells: Sequence[Cell],
        maker: Maker,
        grid: Grid,
        num_trials: int,
        seed: int,
        objectives: Sequence[str] = ("sdr",),
        find: Find | None = None,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._maker, self._objectives = optuna, maker, objectives
        self._cells = {cell.name: cell for cell in cells}
        self._find: Find = find or (lambda settings: self._cells.get(format_overrides(settings)))
        self._is_open = find is not None
        self._ranges: dict[str, Range] = ranges_of(grid)
        earlier = read_trials(maker.out)
        startup = max(2, num_trials // len(maker.seeds) // 3)
        sampler = optuna.samplers.TPESampler(seed=seed + len(earlier), n_startup_trials=startup)
        directions = ["minimize" if name == "gmacs" else "maximize" for name in objectives]
        self._study = optuna.create_study(directions=directions, sampler=sampler)
        self._random = random.Random(seed + len(earlier))
        self.num_trials = num_trials if self._is_open else min(num_trials, len(cells) * len(maker.seeds))
        self.total = float(self.num_trials)
        self._num_made = 0
        self._running: set[int] = set()
        self._queue: list[Trial] = []
        self._asked: dict[str, Any] = {}
        self._values: dict[str, list[float | None]] = {}
        self._replay(earlier)

    def next(self) -> Trial | None:
        """See Source."""
        if not self._queue and self._num_made < self.num_trials:
            if cell := self._suggest():
                self._queue += [self._maker.make(cell, seed) for seed in self._maker.seeds]
                self._num_made += len(self._maker.seeds)
            else:
                print(f"{NOTHING_NEW}; the search ends with {self._num_made} trials", file=sys.stderr)
                self.num_trials = self._num_made
        if not self._queue:
            return None
        trial = self._queue.pop(0)
        self._running.add(trial.index)
        return trial

    @property
    def is_complete(self) -> bool:
        """See Source."""
        return not self._queue and not self._running and self._num_made >= self.num_trials

    def done(self, trial: Trial, outcome: Outcome) -> None:
        """See Source."""
        self._running.discard(trial.index)
        name = format_overrides(trial.overrides)
        values = self._values.setdefault(name, [])
        values.append(outcome.metrics.get("sdr") if outcome.is_over else None)
        if len(values) == len(self._maker.seeds):
            known = [value for value in values if value is not None]
            if len(known) == len(values):
                found = {"sdr": sum(known) / len(known), "gmacs": trial.gmacs_per_s}
                self._study.tell(self._asked[name], [found[objective] for objective in self._objectives])
            else:
                self._study.tell(self._asked[name], state=self._optuna.trial.TrialState.FAIL)

    def _replay(self, earlier: Sequence[Trial]) -> None:
        for trial in earlier:
            self._ask(trial.overrides)
        made = {(format_overrides(trial.overrides), trial.seed): trial for trial in earlier}
        for name, overrides in {format_overrides(trial.overrides): trial.overrides for trial in earlier}.items():
            for seed in self._maker.seeds:
                self._num_made += 1
                if (name, seed) not in made:  # a kill came between the trials of a cell
                    cell = self._find(overrides)
                    assert cell
                    made[name, seed] = self._maker.make(cell, seed)
                trial = made[name, seed]
                outcome = self._maker.outcome(trial)
                if outcome.covers(self._maker.amount):
                    self.done(trial, outcome)
                else:
                    self._queue.append(trial)

    def _suggest(self) -> Cell | None:
        for _ in range(SUGGESTIONS):
            asked = self._study.ask()
            cell = self._find(self._fill(asked))
            if cell and cell.name not in self._asked:
                self._asked[cell.name] = asked
                return cell
            self._study.tell(asked, state=self._optuna.trial.TrialState.FAIL)
        if cell := self._random_cell():
            self._ask(cell.overrides)
        return cell

    def _random_cell(self) -> Cell | None:
        if not self._is_open:
            return self._random.choice([cell for name, cell in self._cells.items() if name not in self._asked])
        for _ in range(RANDOM_DRAWS):
            cell = self._find(draw(self._ranges, self._random))
            if cell and cell.name not in self._asked:
                return cell
        if not self._num_made:
            raise ValueError(f"{NOTHING_NEW}; widen the ranges")
        return None

    def _ask(self, overrides: Mapping[str, str]) -> None:
        name = format_overrides(overrides)
        if name not in self._asked:
            self._study.enqueue_trial({key: self._ranges[key].value(text) for key, text in overrides.items()})
            self._asked[name] = self._study.ask()
            self._fill(self._asked[name])

    def _fill(self, asked: Any) -> dict[str, str]:
        """The settings of an Optuna trial, those under a condition only where it holds."""
        chosen: dict[str, str] = {}
        for key, values in self._ranges.items():
            if values.applies(chosen):
                chosen[key] = values.suggest(asked, key)
        return chosen
