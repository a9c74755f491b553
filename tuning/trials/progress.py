"""How far a search is: one bar over all trials, and a line for each that ended."""

import math
import sys

from tqdm import tqdm

from tuning.space.grid import format_overrides
from tuning.trials.trial import FINISHED, Outcome, Trial


class Progress:
    """A bar that counts the budget spent, in trials.

    Args:
        num_trials: how many there are in all.
        ended: how many of them had ended before.
    """

    def __init__(self, num_trials: int, ended: int) -> None:
        self._shares: dict[int, float] = {}
        self._before, self._best = ended, -math.inf
        form = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f} of {total} trials [{elapsed}<{remaining}]{postfix}"
        self._bar = tqdm(total=num_trials, initial=ended, desc="search", bar_format=form, file=sys.stderr, disable=None)

    def reached(self, trial: Trial, share: float) -> None:
        """Note the share of its budget that a trial has used."""
        self._shares[trial.index] = share
        self._bar.update(self._before + sum(self._shares.values()) - self._bar.n)

    def ended(self, trial: Trial, outcome: Outcome) -> None:
        """Note the end of a trial, and say what became of it."""
        sdr = outcome.metrics.get("sdr", math.nan)
        said = f"{sdr:.2f} dB" if outcome.status == FINISHED else f"{outcome.status} {outcome.error}".strip()
        tqdm.write(f"{trial.name} ({format_overrides(trial.overrides)}, seed {trial.seed}): {said}")
        if outcome.status == FINISHED:
            self._best = max(self._best, sdr)
            self._bar.set_postfix_str(f"best {self._best:.2f} dB")
        self.reached(trial, 1.0)

    def close(self) -> None:
        """End the bar."""
        self._bar.close()
