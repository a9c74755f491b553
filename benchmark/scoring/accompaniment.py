"""Vocals and accompaniment. All systems are scored on them, so that systems of two and of four stems can be compared.

As in museval, the accompaniment is everything except the vocals, and the two are scored as a pair.
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
"""Scored together for every system that has both."""
Score = Callable[[np.ndarray, np.ndarray, list[str]], dict[str, Any]]
"""Scores references and estimates [S, C, T] of the named stems together; see `scoring.score`."""


def accompaniment(stems: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """A system's accompaniment: its own estimate, else the sum of drums, bass and other; None if it lacks these."""
    if ACCOMPANIMENT in stems:
        return stems[ACCOMPANIMENT]
    if not set(PARTS) <= set(stems):
        return None
    return np.sum([stems[part] for part in PARTS], axis=0)


def with_accompaniment(references: Mapping[str, np.ndarray], stems: Sequence[str]) -> dict[str, np.ndarray]:
    """The true stems named in `stems`; the accompaniment is the sum of drums, bass and other."""
    true = {stem: references[stem] for stem in stems if stem != ACCOMPANIMENT}
    if ACCOMPANIMENT in stems:
        true[ACCOMPANIMENT] = np.sum([references[part] for part in PARTS], axis=0)
    return true


def score_all(
    references: Mapping[str, np.ndarray], estimates: Mapping[str, np.ndarray], score: Score
) -> dict[str, Any]:
    """Score a system's stems together, and its vocals with its accompaniment.

    Scores of frames depend on which stems are scored together: a silent stem removes the frame for all, and SIR and SAR
    are projections on all true stems. So they are kept for each set. Scores of whole tracks do not depend on it.

    Args:
        references: the true vocals, drums, bass and other, each [C, T]; drums, bass and other may be left out for a
            system that has none of them and no accompaniment.
        estimates: the system's stems, each [C, T].
        score: scores stems together.

    Returns:
        `stems`: all that are scored, the accompaniment last. For each score of whole tracks: {stem: dB}. `together`: a
        list of what `score` returns for stems scored together, without the scores of whole tracks. Its first entry is
        of the system's own stems out of the four, its second of PAIR (only the accompaniment if there are no vocals).
        If the system's only stem is vocals and it has an accompaniment, the pair is the only entry.
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
