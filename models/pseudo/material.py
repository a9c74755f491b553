"""What training draws from labelled parts: a stem of a segment, or all that is in it but a stem.

The rows of a part are the teacher's stems and what they leave of the mixture; all rows sum to the mixture. What is
clean is the mixture itself, not an estimate:

- a stem that plays alone is the sum of all rows;
- where a stem is absent, all the others sum to the mixture;
- else the stem is its row, and all the others sum to the mixture without it.

What the rows of the others leave of that sum is shared out among them equally, or, where the student has fewer stems
than the mixtures have sources, is one of the sources that it does not separate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.pseudo.pool import LabelledPart
from models.pseudo.rule import ABSENT, ALONE, LABELS
from models.training.data.packs import PackedTrack
from models.training.data.pools import MoreMusic, SegmentPool, Segments

Weights = tuple[tuple[int, float], ...]
"""Rows of a part and their gains; the others count nothing."""


@dataclass(frozen=True)
class PartSources:
    """A part as a track of sources: each is a sum of rows.

    Attributes:
        rows: the part.
        sources: for each source the rows it is made of; () for one that is silent.
    """

    rows: PackedTrack
    sources: tuple[Weights, ...]

    @property
    def name(self) -> str:
        """Of the song."""
        return self.rows.name

    @property
    def num_samples(self) -> int:
        """Length of the part."""
        return self.rows.num_samples

    @property
    def silent(self) -> tuple[bool, ...]:
        """For each source, whether it has no rows."""
        return tuple(not weights for weights in self.sources)

    def read(self, stem: int, channels: Sequence[int], start: int, num_samples: int) -> np.ndarray:
        """Read a part of one source, as float32 [C, num_samples]; outside there is silence."""
        total = np.zeros((len(channels), num_samples), dtype=np.float32)
        for row, gain in self.sources[stem]:
            total += np.float32(gain) * self.rows.read(row, channels, start, num_samples)
        return total


def stem_rows(place: int, num_stems: int, label: str) -> Weights:
    """The rows of a stem that is alone or mixed in a segment.

    Args:
        place: of the stem among the student's.
        num_stems: M; row M is what the estimates leave.
        label: ``ALONE`` or ``MIXED``.
    """
    return tuple((row, 1.0) for row in range(num_stems + 1)) if label == ALONE else ((place, 1.0),)


def rest_rows(place: int, outputs: Sequence[int], num_sources: int, label: str) -> tuple[Weights, ...]:
    """For each source, its rows in the rest of a segment: all but one stem.

    Args:
        place: of this stem among the student's.
        outputs: for each of the student's M stems, which source it is.
        num_sources: D.
        label: ``ABSENT``: they sum to the mixture; ``MIXED``: to the mixture without the estimate of the stem.
    """
    sources: list[Weights] = [()] * num_sources
    others = [other for other in range(len(outputs)) if other != place]
    left = [len(outputs), place] if label == ABSENT else [len(outputs)]
    rest = next((source for source in range(num_sources) if source not in outputs), None)
    for other in others:
        shared = () if rest is not None else tuple((row, 1 / len(others)) for row in left)
        sources[outputs[other]] = ((other, 1.0), *shared)
    if rest is not None:
        sources[rest] = tuple((row, 1.0) for row in left)
    return tuple(sources)


def more_music(parts: Sequence[LabelledPart], stems: Sequence[str], sources: Sequence[str], share: float) -> MoreMusic:
    """All material of labelled parts; every segment is as likely as any other.

    Args:
        parts: by teachers of ``stems``.
        stems: the student's.
        sources: of the mixtures, the stems among them.
        share: how often it is drawn.
    """
    outputs = [sources.index(stem) for stem in stems]
    own: dict[int, list[Segments]] = {}
    rests: dict[int, list[Segments]] = {}
    for part in parts:
        for place, stem in enumerate(stems):
            for label in LABELS:
                starts = tuple(at for at, one in zip(part.starts, part.labels[stem], strict=True) if one == label)
                if not starts:
                    continue
                if label != ABSENT:
                    rows: list[Weights] = [()] * len(sources)
                    rows[outputs[place]] = stem_rows(place, len(stems), label)
                    own.setdefault(outputs[place], []).append(_segments(part, tuple(rows), starts))
                if label != ALONE and len(sources) > 1:
                    rest = rest_rows(place, outputs, len(sources), label)
                    rests.setdefault(outputs[place], []).append(_segments(part, rest, starts))
    return MoreMusic(
        share,
        {source: SegmentPool(entries) for source, entries in own.items()},
        {source: SegmentPool(entries) for source, entries in rests.items()},
    )


def count_labels(parts: Sequence[LabelledPart], stems: Sequence[str]) -> str:
    """How many segments have which label, for each stem; a line for the user."""
    counts = []
    for stem in stems:
        labels = [label for part in parts for label in part.labels[stem]]
        listed = ", ".join(f"{labels.count(label)} {label}" for label in LABELS if label in labels)
        counts.append(f"{stem} {listed}")
    return "; ".join(counts)


def _segments(part: LabelledPart, sources: tuple[Weights, ...], starts: tuple[int, ...]) -> Segments:
    return Segments(PartSources(part.track, sources), starts, part.segment, len(starts))
