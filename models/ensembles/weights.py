"""The weights of an ensemble that give the best mean SDR on validation tracks.

The SDR of a weighted mean depends only on the inner products of the estimates with each other and with the true stem.
Each member therefore separates each track once; trying other weights costs almost nothing.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.metrics import CHALLENGE_DELTA

FIRST_STEP, LAST_STEP = 0.25, 0.002
"""First and last step of the search: the share that it moves from one member to another."""


@dataclass(frozen=True)
class Products:
    """Inner products for one stem of one track and M members, over all samples and channels.

    Attributes:
        estimates: of the members' estimates with each other, [M, M].
        reference: of the members' estimates with the true stem, [M].
        energy: of the true stem with itself.
    """

    estimates: np.ndarray
    reference: np.ndarray
    energy: float

    def sdr(self, weights: np.ndarray) -> float:
        """Global SDR of the weighted sum of the estimates, dB; see ``models.metrics.global_sdr``."""
        error = self.energy - 2 * weights @ self.reference + weights @ self.estimates @ weights
        return float(10 * np.log10((self.energy + CHALLENGE_DELTA) / (max(error, 0.0) + CHALLENGE_DELTA)))


def products(reference: np.ndarray, estimates: Sequence[np.ndarray]) -> Products:
    """The inner products of one stem of one track.

    Args:
        reference: true audio [C, T].
        estimates: of each member, [C, T] each.

    Raises:
        ValueError: the shapes differ.
    """
    for estimate in estimates:
        if estimate.shape != reference.shape:
            raise ValueError(f"expected estimates shaped like the reference {reference.shape}, got {estimate.shape}")
    signals = np.stack([part.astype(np.float64).ravel() for part in (*estimates, reference)])
    table = signals @ signals.T
    return Products(table[:-1, :-1], table[:-1, -1], float(table[-1, -1]))


def mean_sdr(tracks: Sequence[Products], weights: np.ndarray) -> float:
    """Mean over tracks of the SDR of a weighted sum, dB."""
    return float(np.mean([track.sdr(weights) for track in tracks]))


def best_weights(tracks: Sequence[Products]) -> np.ndarray:
    """Weights [M], at least 0 and with sum 1, with the highest mean SDR over the tracks.

    The search begins once with equal weights and once with each member alone. It moves a share from one member to
    another while that raises the mean SDR: first steps of 0.25, then half of that, and so on down to 0.002. The SDR
    never falls, so on these tracks the result is at least as good as the plain mean and as every member.

    Args:
        tracks: at least one, of M members.
    """
    num_members = len(tracks[0].reference)
    starts = [np.full(num_members, 1 / num_members), *np.eye(num_members)]
    return max((_climb(tracks, start) for start in starts), key=lambda weights: mean_sdr(tracks, weights))


def _climb(tracks: Sequence[Products], weights: np.ndarray) -> np.ndarray:
    """The best weights that a search from these weights finds."""
    best, step = mean_sdr(tracks, weights), FIRST_STEP
    while step >= LAST_STEP:
        for candidate in _neighbours(weights, step):
            if (score := mean_sdr(tracks, candidate)) > best:
                best, weights = score, candidate
                break
        else:
            step /= 2
    return weights


def _neighbours(weights: np.ndarray, step: float) -> Iterator[np.ndarray]:
    """All weights that result from moving a share of at most `step` from one member to another."""
    for source, target in itertools.permutations(range(len(weights)), 2):
        share = min(step, weights[source])
        if share > 0:
            moved = weights.copy()
            moved[source] -= share
            moved[target] += share
            yield moved
