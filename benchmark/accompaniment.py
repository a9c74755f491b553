"""Vocals and accompaniment: what systems of two stems are scored on, and all others too, so that they can be compared.

As in museval, accompaniment is everything but the vocals, and its frames are scored together with those of the vocals.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from models.tracks import STEMS

ACCOMPANIMENT = "accompaniment"
PARTS = ("drums", "bass", "other")
KNOWN_STEMS = (*STEMS, ACCOMPANIMENT)
"""The stems that are scored."""
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

    Args:
        references: the true vocals, drums, bass and other, each [C, T]; drums, bass and other may be left out for a
            system that has none of them and no accompaniment.
        estimates: the system's stems, each [C, T].
        score: what scores stems together.

    Returns:
        What `score` returns for the system's stems, with accompaniment as one more stem if it has any. For a system of
        vocals and accompaniment only, these two are scored together.
    """
    parts = [stem for stem in estimates if stem != ACCOMPANIMENT]
    estimated = accompaniment(estimates)
    if estimated is None:
        return score(_stack(references, parts), _stack(estimates, parts), parts)
    pair = [*(stem for stem in parts if stem == "vocals"), ACCOMPANIMENT]
    true = with_accompaniment(references, pair)
    scores = score(_stack(true, pair), _stack({**estimates, ACCOMPANIMENT: estimated}, pair), pair)
    if set(parts) <= set(pair):
        return scores
    together = score(_stack(references, parts), _stack(estimates, parts), parts)
    return {**_with(together, scores), "stems": [*parts, ACCOMPANIMENT]}


def _with(together: dict[str, Any], pair: dict[str, Any]) -> dict[str, Any]:
    """Scores of the stems, with the accompaniment's out of those of the pair wherever there is one value a stem."""
    merged = {}
    for name, values in together.items():
        if not isinstance(values, dict):
            merged[name] = values
        elif all(isinstance(value, dict) for value in values.values()):
            merged[name] = _with(values, pair[name])
        else:
            merged[name] = {**values, ACCOMPANIMENT: pair[name][ACCOMPANIMENT]}
    return merged


def _stack(stems: Mapping[str, np.ndarray], names: list[str]) -> np.ndarray:
    return np.stack([stems[name] for name in names])
