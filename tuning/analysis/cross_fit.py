"""The winner on seeds and tracks that did not choose it: the best of many looks better than it is."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Curves = Sequence[Sequence[np.ndarray]]
"""For each cell and seed, the SDR [validations, tracks], dB."""


@dataclass(frozen=True)
class CrossFit:
    """What a search of half the seeds and tracks chooses, judged on the other half.

    Attributes:
        picks: the chosen cell of each way to halve.
        sdr: SDR of the chosen cells on seeds and tracks that did not choose them, mean over the ways, dB.
        own_sdr: the same on the seeds and tracks that chose them.
        lead: lead of the chosen cell over the one that came second in the choice, judged in the same way.
        own_lead: the same on the seeds and tracks that chose.
        splits_seeds: whether the seeds were halved; with one seed, its luck is in both halves.
        splits_tracks: whether the tracks were halved; with one track they are the same.
    """

    picks: tuple[int, ...]
    sdr: float
    own_sdr: float
    lead: float
    own_lead: float
    splits_seeds: bool
    splits_tracks: bool


def cross_fit(curves: Curves) -> CrossFit | None:
    """Choose with one half of the seeds and tracks, judge on the other, in all two or four ways.

    The choosing half also chooses the validation of each trial at which its weights are taken. Cross-fitting is used,
    not one half that chooses and one that judges, because a validation split has few tracks: so each of them judges.

    Args:
        curves: of at least one cell; all trials have the same tracks.

    Returns:
        The result; None with one seed and one track, which cannot be halved.

    Source: Stone 1974 (cross-validatory choice and assessment); Chernozhukov et al. 2018 (cross-fitting).
    """
    num_seeds, num_tracks = len(curves[0]), curves[0][0].shape[1]
    if num_seeds * num_tracks < 2:
        return None
    ways = list(itertools.product(_halves(num_seeds), _halves(num_tracks)))
    picks, rows = [], []
    for (seeds, other_seeds), (tracks, other_tracks) in ways:
        own = [_score(cell, seeds, tracks, tracks) for cell in curves]
        judged = [_score(cell, other_seeds, tracks, other_tracks) for cell in curves]
        order = np.argsort(-np.array(own), kind="stable")
        first = int(order[0])
        picks.append(first)
        second = int(order[1]) if len(order) > 1 else None
        leads = (math.nan, math.nan) if second is None else (judged[first] - judged[second], own[first] - own[second])
        rows.append((judged[first], own[first], *leads))
    sdr, own_sdr, lead, own_lead = (float(value) for value in np.mean(rows, axis=0))
    return CrossFit(tuple(picks), sdr, own_sdr, lead, own_lead, num_seeds > 1, num_tracks > 1)


def _halves(count: int) -> list[tuple[list[int], list[int]]]:
    """Every other one against the rest, both ways; one alone is both halves."""
    if count == 1:
        return [([0], [0])]
    even, odd = list(range(0, count, 2)), list(range(1, count, 2))
    return [(even, odd), (odd, even)]


def _score(cell: Sequence[np.ndarray], seeds: list[int], choosing: list[int], judging: list[int]) -> float:
    """SDR of a cell's seeds on the judging tracks, at the validation that is best on the choosing ones."""
    scores = []
    for seed in seeds:
        best = int(np.argmax(cell[seed][:, choosing].mean(axis=1)))
        scores.append(cell[seed][best, judging].mean())
    return float(np.mean(scores))
