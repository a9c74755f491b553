"""The progress of a search: one bar over all trials, and a line for each trial that ended."""

import math
import sys
from collections.abc import Mapping

from tqdm import tqdm

from tuning.space.grid import format_overrides
from tuning.trials.records import FINISHED, Outcome, Trial


class Progress:
    """A bar that counts the used budget, in trials.

    Args:
        total: the budget of all trials, in budgets of a trial.
        amount: budget of a trial.
        shares: of their budget that trials used in earlier runs of the search.
    """

    def __init__(self, total: float, amount: float, shares: Mapping[int, float]) -> None:
        self._shares, self._amount, self._best = dict(shares), amount, -math.inf
        form = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f} of {total:.1f} trials [{elapsed}<{remaining}]{postfix}"
        self._bar = tqdm(
            total=total, initial=sum(shares.values()), desc="search", bar_format=form, file=sys.stderr, disable=None
        )

    def reached(self, trial: Trial, share: float) -> None:
        """Show the share of its budget that a trial has used."""
        self._shares[trial.index] = share
        self._bar.update(sum(self._shares.values()) - self._bar.n)

    def ended(self, trial: Trial, outcome: Outcome) -> None:
        """Count a trial as ended, and print its outcome."""
        sdr = outcome.metrics.get("sdr", math.nan)
        text = f"{sdr:.2f} dB" if outcome.status == FINISHED else f"{outcome.status} {outcome.error}".strip()
        tqdm.write(f"{trial.name} ({format_overrides(trial.overrides)}, seed {trial.seed}): {text}")
        if outcome.status == FINISHED:
            self._best = max(self._best, sdr)
            self._bar.set_postfix_str(f"best {self._best:.2f} dB")
        self.reached(trial, 1.0 if trial.until is None else trial.until / self._amount)

    def close(self) -> None:
        """Close the bar."""
        self._bar.close()
