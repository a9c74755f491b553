"""Vocals and accompaniment: what systems of two stems are scored on, and all others too, so that they can be compared.

As in museval, accompaniment is everything but the vocals, and the two are scored as a pair of their own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.scoring.scores import WHOLE_TRACK
from models.tracks import STEMS

ACCOMPANIMENT = "accompaniment"
PARTS = ("drums", "bass", "other")
KNOWN_STEMS = (*STEMS, ACCOMPANIMENT)
"""The stems that are scored."""
PAIR = ("vocals", ACCOMPANIMENT)
"""Scored together for every system that has both, which makes systems of two and of four stems comparable."""
Score = Callable[[np.ndarray, np.ndarray, list[str]], dict[str, Any]]
"""Scores references and estimates [S, C, T] of the named stems together; see `scoring.score`."""


def accompaniment(stems: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """A system's accompaniment: its own estimate if it has one, else the sum of drums, bass and other, else None."""
    if ACCOMPANIMENT in stems:
        return stems[ACCOMPANIMENT]
    if not set(PARTS) <= set(stems):
        return None
    return np.sum([stems[part] for part in PARTS], axis=0)


def with_accompaniment(references: Mapping[str, np.ndarray], stems: Sequence[str]) -> dict[str, np.ndarray]:
    """The true stems out of `stems`; the accompaniment is the sum of drums, bass and other."""
    true = {stem: references[stem] for stem in stems if stem != ACCOMPANIMENT}
    if ACCOMPANIMENT in stems:
        true[ACCOMPANIMENT] = np.sum([references[part] for part in PARTS], axis=0)
    return true


def score_all(
    references: Mapping[str, np.ndarray], estimates: Mapping[str, np.ndarray], score: Score
) -> dict[str, Any]:
    """Score a system's stems together, and its vocals with its accompaniment.

    The scores of frames depend on which stems are scored together (a silent stem takes a frame from all, and SIR and
    SAR are projections on all true stems), so they are kept for each set; scores of whole tracks do not.

    Args:
        references: the true vocals, drums, bass and other, each [C, T]; drums, bass and other may be left out for a
            system that has none of them and no accompaniment.
        estimates: the system's stems, each [C, T].
        score: what scores stems together.

    Returns:
        `stems`, all that are scored, accompaniment last; {stem: dB} for each score of whole tracks; `together`, a list
        of what `score` returns for stems scored together, without these: the system's own of the four, then PAIR
        (accompaniment alone where there are no vocals). Where its own are only vocals, and it has an accompaniment,
        there is the pair alone.
    """
    parts = [stem for stem in estimates if stem != ACCOMPANIMENT]
    estimated = accompaniment(estimates)
    sets = []
    if estimated is None:
        sets.append(parts)
    else:
        pair = [stem for stem in PAIR if stem == ACCOMPANIMENT or stem in parts]
        sets += [parts, pair] if set(parts) - set(pair) else [pair]
        estimates = {**estimates, ACCOMPANIMENT: estimated}
    groups = []
    whole: dict[str, dict[str, float]] = {metric: {} for metric in WHOLE_TRACK}
    for stems in sets:
        true = with_accompaniment(references, stems)
        group = score(_stack(true, stems), _stack(estimates, stems), stems)
        for metric, values in whole.items():
            for stem, value in group.pop(metric).items():
                values.setdefault(stem, value)
        groups.append(group)
    return {"stems": list(whole["sdr"]), **whole, "together": groups}


def _stack(stems: Mapping[str, np.ndarray], names: list[str]) -> np.ndarray:
    return np.stack([stems[name] for name in names])
