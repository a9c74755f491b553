"""Vocals and accompaniment. All systems are scored on them, so that systems of two and of four stems can be compared.

As in museval, the accompaniment is everything except the vocals, and the two are scored as a pair. Systems import this
module for its names: it imports none of the metrics, so that a changed metric does not count as a changed system.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from models.tracks import STEMS

ACCOMPANIMENT = "accompaniment"
PARTS = ("drums", "bass", "other")
KNOWN_STEMS = (*STEMS, ACCOMPANIMENT)
"""The stems that are scored."""
PAIR = ("vocals", ACCOMPANIMENT)
"""Scored together for every system that has both."""


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
