"""Successive halving: all cells get a part of the budget, the best ones go on to the next part, until few have it all.

A trial goes on from its saved state and is never started again. Its learning rate follows the schedule of the whole
budget from its first step, so a trial of the last rung is the trial that a full grid would have trained, and all trials
of a rung are compared at the same point of the same schedule. The decisions are in ``rungs.json``: a search that was
killed goes on with the same ones.

Source: Karnin, Koren & Somekh 2013; Jamieson & Talwalkar 2016. Synchronous: a rung is decided when all of it is done.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from models.running import atomic
from models.training.record.run_folder import STATE
from tuning.space.grid import Cell, format_overrides
from tuning.space.rungs import rung_sizes
from tuning.trials.order import Maker
from tuning.trials.records import Outcome, Trial

RUNGS = "rungs.json"


@dataclass(frozen=True)
class Rung:
    """A decided rung.

    Attributes:
        until: amount of the budget that its trials have had.
        scores: SDR of each cell, mean over seeds, dB; None if a seed failed.
        kept: the cells that go on, the best first.
    """

    until: float
    scores: dict[str, float | None]
    kept: tuple[str, ...]


def read_rungs(out: Path) -> list[Rung]:
    """The decided rungs of a search's folder, none if it has no such file.

    Raises:
        ValueError: the file is damaged.
    """
    if not (out / RUNGS).exists():
        return []
    try:
        read = [Rung(**each) for each in json.loads((out / RUNGS).read_text(encoding="utf-8"))]
        return [Rung(rung.until, dict(rung.scores), tuple(rung.kept)) for rung in read]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{out / RUNGS}: expected rungs, got a damaged file ({error}); delete it") from None


class HalvingSource:
    """The trials of the rungs, one rung after another.

    Cells are compared by the mean SDR of their seeds; of two alike, the one that comes first in the grid goes on. A
    cell of which a seed failed does not go on. Seeds that are added later are trained for the cells of
    the last rung alone.

    Args:
        cells: all cells.
        maker: makes their trials.
        rungs: amounts of the budget, the last is the whole.
        factor: of the cells of a rung, one in so many goes on, rounded up.
    """

    def __init__(self, cells: Sequence[Cell], maker: Maker, rungs: Sequence[float], factor: int) -> None:
        self._cells = {cell.name: cell for cell in cells}
        self._maker, self._amounts, self._factor = maker, rungs, factor
        self._rungs = read_rungs(maker.out)
        for rung in self._rungs:
            self._forget_losers(rung)
        sizes = rung_sizes(len(cells), factor, len(rungs))
        parts = [after - before for before, after in zip([0.0, *rungs], rungs, strict=False)]
        self.num_trials = sum(sizes) * len(maker.seeds)
        budgets = sum(size * part for size, part in zip(sizes, parts, strict=True)) / rungs[-1]
        self.total = budgets * len(maker.seeds)
        self._running: set[int] = set()
        self._queue: list[Trial] = []
        self._outcomes: dict[tuple[str, int], Outcome] = {}
        self._begin_rung()

    @property
    def is_waiting(self) -> bool:
        """See Source."""
        return bool(self._running) and not self._queue and len(self._rungs) < len(self._amounts) - 1

    @property
    def is_complete(self) -> bool:
        """See Source."""
        return not self._queue and not self._running

    def next(self) -> Trial | None:
        """See Source."""
        if not self._queue:
            return None
        trial = self._queue.pop(0)
        self._running.add(trial.index)
        return trial

    def done(self, trial: Trial, outcome: Outcome) -> None:
        """See Source."""
        self._running.discard(trial.index)
        self._outcomes[format_overrides(trial.overrides), trial.seed] = outcome
        if not self._queue and not self._running:
            self._decide()

    @property
    def _names(self) -> tuple[str, ...]:
        """The cells of the present rung."""
        return self._rungs[-1].kept if self._rungs else tuple(self._cells)

    def _begin_rung(self) -> None:
        place = len(self._rungs)
        amount = self._amounts[place]
        until = None if place == len(self._amounts) - 1 else amount
        self._outcomes.clear()
        for seed in self._maker.seeds:
            for name in self._names:
                trial = self._maker.make(self._cells[name], seed, until)
                outcome = self._maker.outcome(trial)
                if outcome.covers(amount):
                    self._outcomes[name, seed] = outcome
                else:
                    self._queue.append(trial)
        if not self._queue:
            self._decide()

    def _decide(self) -> None:
        """Choose the cells that go on, write that down, and begin the next rung."""
        place = len(self._rungs)
        if place == len(self._amounts) - 1:
            return
        scores = {name: self._score(name) for name in self._names}
        known = {name: score for name, score in scores.items() if score is not None}
        order = [name for name in self._cells if name in known]
        best = sorted(order, key=lambda name: -known[name])[: math.ceil(len(scores) / self._factor)]
        if not best:
            return  # not written down: a resumed search tries the failed trials again
        rung = Rung(self._amounts[place], scores, tuple(best))
        self._rungs.append(rung)
        atomic.write_json(self._maker.out / RUNGS, [asdict(each) for each in self._rungs])
        self._forget_losers(rung)
        self._begin_rung()

    def _score(self, name: str) -> float | None:
        outcomes = [self._outcomes[name, seed] for seed in self._maker.seeds]
        if not all(outcome.is_over for outcome in outcomes):
            return None
        return sum(float(outcome.metrics["sdr"]) for outcome in outcomes) / len(outcomes)

    def _forget_losers(self, rung: Rung) -> None:
        """Delete the states of trials that do not go on; their weights and metrics stay."""
        for name in rung.scores:
            if name not in rung.kept:
                for folder in self._maker.folders(name):
                    (folder / STATE).unlink(missing_ok=True)
