"""From scores to decisions: which stems are kept, cut, relabelled or dropped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.cleaning.scores import StemScore

ACTIONS = ("keep", "cut", "relabel", "drop", "silent")
LEAST_GAIN = 0.01
"""Of a stem that a model hardly ever hears: its estimates are not raised by more than this makes of them."""


@dataclass(frozen=True)
class Decision:
    """What becomes of one stem.

    Attributes:
        score: what the model hears in it, calibrated.
        dirt: the share of what is heard in it that is not its own; 0 where it is silent.
        action: ``keep``, ``cut`` (silence in some stretches), ``relabel``, ``drop`` or ``silent`` (nothing to judge).
        label: the stem that it is from now on; "" when dropped.
        reason: why, for people.
        cuts: the stretches that become silent.
    """

    score: StemScore
    dirt: float
    action: str
    label: str
    reason: str
    cuts: tuple[int, ...] = ()

    @property
    def is_found(self) -> bool:
        """Whether the stem does not stay as it is."""
        return self.action in ("cut", "relabel", "drop")


def decide(scores: Sequence[StemScore], worst: float) -> list[Decision]:
    """Judge all stems of a data set together.

    A model knows some stems better than others, and a young one none of them well: it may hear most of any music as
    bass. So the estimates of each stem are first divided by what it hears of the median stem of that name (of 40
    tracks of label noise, the loudest estimate of a young model was of the right stem in 53 % before and 80 % after),
    and then each stem is compared with the others of its name, not with a fixed share. Those in which the model hears
    least of their own are taken for dirty. Such a stem is relabelled where the model hears it as another one as purely
    as the stems of that name that are taken for clean, and where that place in the track is free; else it is dropped.
    Of the clean ones, stretches with less than half of the least own share of clean stems are cut.

    Source: the winner of board A filters the stems by its model and retrains on what is left, Fabbro et al. 2023
    (arXiv 2308.06979).
    Differs: the winner's verdict is a fixed SDR of the estimate of each stem, and nothing is relabelled.

    Args:
        scores: of all stems of all tracks.
        worst: share of the stems of each name that are taken for dirty, in [0, 1).
    """
    gains = label_gains(scores)
    scores = [score.calibrated(gains) for score in scores]
    thresholds = least_shares(scores, worst)
    verdicts = {(score.track, score.stem): _judge(score, thresholds) for score in scores}
    tracks: dict[str, list[StemScore]] = {}
    for score in scores:
        tracks.setdefault(score.track, []).append(score)
    for name, stems in tracks.items():
        taken = {stem.stem for stem in stems if verdicts[name, stem.stem].action in ("keep", "cut")}
        moved = [verdicts[name, stem.stem] for stem in stems if verdicts[name, stem.stem].action == "relabel"]
        for verdict in sorted(moved, key=lambda one: -one.score.share(one.label)):
            if verdict.label in taken:
                reason = f"{verdict.reason}, and the track has {verdict.label} already"
                verdicts[name, verdict.score.stem] = Decision(verdict.score, verdict.dirt, "drop", "", reason)
            taken.add(verdict.label)
    return list(verdicts.values())


def label_gains(scores: Sequence[StemScore]) -> dict[str, float]:
    """The median own share of the sounding stems of each name, at least ``LEAST_GAIN``."""
    return {stem: max(LEAST_GAIN, float(np.median(shares))) for stem, shares in _own_shares(scores).items()}


def least_shares(scores: Sequence[StemScore], worst: float) -> dict[str, float]:
    """The own share from which on a stem of each name is taken for clean: a quantile over those that sound."""
    return {stem: float(np.quantile(shares, worst, method="higher")) for stem, shares in _own_shares(scores).items()}


def _own_shares(scores: Sequence[StemScore]) -> dict[str, list[float]]:
    """The own shares of the sounding stems of each name."""
    shares: dict[str, list[float]] = {}
    for score in scores:
        if not score.is_silent:
            shares.setdefault(score.stem, []).append(score.share(score.stem))
    return shares


def _judge(score: StemScore, thresholds: Mapping[str, float]) -> Decision:
    """A stem by itself."""
    if score.is_silent:
        return Decision(score, 0.0, "silent", score.stem, "silent")
    own, least = score.share(score.stem), thresholds[score.stem]
    if own >= least:
        stretches = score.stretch_shares(score.stem)
        cuts = tuple(int(index) for index in np.flatnonzero(stretches < least / 2))
        if cuts:
            text = f"{len(cuts)} of {len(stretches)} stretches sound like something else"
            return Decision(score, 1 - own, "cut", score.stem, text, cuts)
        return Decision(score, 1 - own, "keep", score.stem, f"own share {own:.3f}, at least {least:.3f}")
    heard = score.heard_as
    if heard == score.stem:
        return Decision(score, 1 - own, "drop", "", f"own share {own:.3f}, below {least:.3f}")
    text = f"sounds like {heard} ({score.share(heard):.3f}, own share {own:.3f}, below {least:.3f})"
    action = "relabel" if score.share(heard) >= thresholds.get(heard, 1.0) else "drop"
    return Decision(score, 1 - own, action, heard if action == "relabel" else "", text)
