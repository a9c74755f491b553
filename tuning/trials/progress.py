"""The progress of a search: one bar over all trials, and a line for each trial that ended."""

import math
import sys

from tqdm import tqdm

from tuning.space.grid import format_overrides
from tuning.trials.trial import FINISHED, Outcome, Trial


class Progress:
    """A bar that counts the used budget, in trials.

    Args:
        num_trials: number of all trials.
        ended: number of trials that ended in earlier runs of the search.
    """

    def __init__(self, num_trials: int, ended: int) -> None:
        self._shares: dict[int, float] = {}
        self._before, self._best = ended, -math.inf
        form = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f} of {total} trials [{elapsed}<{remaining}]{postfix}"
        self._bar = tqdm(total=num_trials, initial=ended, desc="search", bar_format=form, file=sys.stderr, disable=None)

    def reached(self, trial: Trial, share: float) -> None:
        """Show the share of its budget that a trial has used."""
        self._shares[trial.index] = share
        self._bar.update(self._before + sum(self._shares.values()) - self._bar.n)

    def ended(self, trial: Trial, outcome: Outcome) -> None:
        """Count a trial as ended, and print its outcome."""
        sdr = outcome.metrics.get("sdr", math.nan)
        text = f"{sdr:.2f} dB" if outcome.status == FINISHED else f"{outcome.status} {outcome.error}".strip()
        tqdm.write(f"{trial.name} ({format_overrides(trial.overrides)}, seed {trial.seed}): {text}")
        if outcome.status == FINISHED:
            self._best = max(self._best, sdr)
            self._bar.set_postfix_str(f"best {self._best:.2f} dB")
        self.reached(trial, 1.0)

    def close(self) -> None:
        """Close the bar."""
        self._bar.close()
