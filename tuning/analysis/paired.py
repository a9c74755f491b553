"""Differences between cells, paired over seeds and tracks: intervals, and p values that count all comparisons.

All trials of a search have the same seeds and the same validation tracks. The SDR of cell c, seed s and track t is

    y[c, s, t] = cell[c] + seed[s] + track[t] + (seed track)[s, t]
               + (cell seed)[c, s] + (cell track)[c, t] + rest[c, s, t]

in which the cells are fixed and everything else is random. What a seed or a track does to all cells alike is not in a
difference of two cells. What is left, the three last terms, gives its variance.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Uncertainty:
    """The uncertainty of the difference of two cells' means, alike for all pairs.

    Attributes:
        error: standard error, dB; nan with one seed and one track, or one cell.
        freedom: degrees of freedom; 0 where ``error`` is nan.
        seeds: standard deviation of a cell's value from seed to seed, not shared by all cells, dB; nan for one seed.
        tracks: the same from track to track; nan for one track.
    """

    error: float
    freedom: float
    seeds: float
    tracks: float

    @property
    def half_width(self) -> float:
        """Half the width of the 95 % interval of one difference, dB."""
        return self.half_width_among(1)

    def half_width_among(self, pairs: int) -> float:
        """The difference that Holm's first step calls significant among so many pairs, dB."""
        if not self.freedom:
            return math.nan
        from scipy.stats import t

        return float(t.ppf(1 - (1 - CONFIDENCE) / 2 / pairs, self.freedom)) * self.error


def uncertainty(scores: np.ndarray) -> Uncertainty:
    """The uncertainty of differences, from the interactions of cells with seeds and with tracks.

    The variance of a difference is 2 (A + B - R) / (S T), with the mean squares A of cell and seed, B of cell and
    track, R of the rest, and Satterthwaite's degrees of freedom. A and B contain the rest, so R is taken off once. By
    chance this may give less than A or B alone; then the larger of these two is taken. With one seed (track) it is B
    (A) alone: other seeds (tracks) may give another difference, and the interval does not say so.

    Args:
        scores: SDR [cells, seeds, tracks], dB.

    Source: Scheffé 1959, The Analysis of Variance, chapter 8 (mixed models); Satterthwaite 1946.
    Differs: one variance for all pairs, pooled over the cells, because two seeds give each pair one degree of freedom.
    """
    num_cells, num_seeds, num_tracks = scores.shape
    if num_cells < 2 or num_seeds * num_tracks < 2:
        return Uncertainty(math.nan, 0, math.nan, math.nan)
    effect = scores - scores.mean(axis=0)  # without what all cells share
    by_cell = effect.mean(axis=(1, 2), keepdims=True)
    by_seed = effect.mean(axis=2, keepdims=True) - by_cell
    by_track = effect.mean(axis=1, keepdims=True) - by_cell
    rest = effect - by_cell - by_seed - by_track
    freedoms = [n * (num_cells - 1) for n in (num_seeds - 1, num_tracks - 1, (num_seeds - 1) * (num_tracks - 1))]
    sums = [num_tracks * (by_seed**2).sum(), num_seeds * (by_track**2).sum(), (rest**2).sum()]
    squares = [float(total / freedom) if freedom else 0.0 for total, freedom in zip(sums, freedoms, strict=True)]
    found = _variance(squares, freedoms)
    error = math.sqrt(2 * found[0] / (num_seeds * num_tracks))
    within = [
        math.sqrt(max(0.0, mean - squares[2]) / others) if freedom else math.nan
        for mean, freedom, others in zip(squares, freedoms, (num_tracks, num_seeds), strict=False)
    ]
    return Uncertainty(error, found[1], *within)


def _variance(squares: Sequence[float], freedoms: Sequence[int]) -> tuple[float, float]:
    """A + B - R or, where it is larger, A or B; and its degrees of freedom."""
    known = [(square, float(freedom)) for square, freedom in zip(squares[:2], freedoms[:2], strict=True) if freedom]
    largest = max(known)
    together = squares[0] + squares[1] - squares[2]
    if len(known) < 2 or together <= largest[0]:
        return largest
    parts = sum(square**2 / freedom for square, freedom in zip(squares, freedoms, strict=True))
    return together, together**2 / parts


def compare_pairs(names: Sequence[str], scores: np.ndarray) -> pd.DataFrame:
    """Every pair of cells, the better one first.

    Args:
        names: of the cells.
        scores: SDR [cells, seeds, tracks], dB.

    Returns:
        ``first``, ``second``, ``difference`` of their means, its 95 % interval ``low`` and ``high``, ``p`` (of a
        difference of 0), and ``holm``: the p value that counts all pairs. nan where nothing is known of the spread.
    """
    means = scores.mean(axis=(1, 2))
    doubt = uncertainty(scores)
    order = np.argsort(-means, kind="stable")
    rows = []
    for first, second in itertools.combinations(order, 2):
        difference = float(means[first] - means[second])
        rows.append((names[first], names[second], difference, _p_value(difference, doubt)))
    table = pd.DataFrame(rows, columns=["first", "second", "difference", "p"])
    table["low"], table["high"] = table.difference - doubt.half_width, table.difference + doubt.half_width
    table["holm"] = holm(table.p.to_numpy())
    return table[["first", "second", "difference", "low", "high", "p", "holm"]]


def holm(p_values: np.ndarray) -> np.ndarray:
    """P values that count all comparisons: below 0.05 in any of them by chance in at most one of twenty searches.

    Source: Holm 1979.
    """
    count = len(p_values)
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(count)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, p_values[order] * np.arange(count, 0, -1)))
    return adjusted


def _p_value(difference: float, doubt: Uncertainty) -> float:
    if not doubt.freedom:
        return math.nan
    if not doubt.error:
        return float(difference == 0)
    from scipy.stats import t

    return float(2 * t.sf(abs(difference) / doubt.error, doubt.freedom))
