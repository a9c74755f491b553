"""How well cleaning finds what is dirty, where the truth is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.cleaning.decisions import Decision
from models.corruption.truth import DIRTY, StemTruth


@dataclass(frozen=True)
class Found:
    """How well dirty stems of one kind are told from clean ones.

    Attributes:
        kind: "all", or an action of the truth.
        dirty: how many there are.
        auc: probability that a dirty stem has a higher dirt score than a clean one; NaN without either.
        precision: share of the found stems that are dirty; NaN if none is found. For a kind alone, the clean stems that
            are found count in full.
        recall: share of the dirty stems that are found; NaN without any.
    """

    kind: str
    dirty: int
    auc: float
    precision: float
    recall: float


def evaluate(decisions: Sequence[Decision], truth: Mapping[tuple[str, str], StemTruth]) -> list[Found]:
    """Compare decisions with the truth, over the stems that sound and that the truth knows; all, then each kind."""
    known = [
        (decision, row)
        for decision in decisions
        if not decision.score.is_silent and (row := truth.get((decision.score.track, decision.score.stem)))
    ]
    clean = [decision for decision, row in known if not row.is_dirty]
    results = []
    for kind in ("all", *DIRTY):
        dirty = [decision for decision, row in known if row.is_dirty and kind in ("all", row.action)]
        if dirty or kind == "all":
            hits, false = (sum(one.is_found for one in group) for group in (dirty, clean))
            auc = area_under_curve([one.dirt for one in dirty], [one.dirt for one in clean])
            precision = hits / (hits + false) if hits + false else float("nan")
            recall = hits / len(dirty) if dirty else float("nan")
            results.append(Found(kind, len(dirty), auc, precision, recall))
    return results


def relabelled_right(decisions: Sequence[Decision], truth: Mapping[tuple[str, str], StemTruth]) -> tuple[int, int]:
    """How many relabelled stems hold the recording that their new name says and nothing else, and how many there are.

    Stems that the truth does not know are left out.
    """
    moved = [
        (decision.label, row.holds)
        for decision in decisions
        if decision.action == "relabel" and (row := truth.get((decision.score.track, decision.score.stem)))
    ]
    return sum(label == holds for label, holds in moved), len(moved)


def area_under_curve(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Area under the ROC curve: how often a positive one is above a negative one, ties counting half."""
    if not positive or not negative:
        return float("nan")
    above = np.subtract.outer(np.array(positive), np.array(negative))
    return float((above > 0).mean() + (above == 0).mean() / 2)
