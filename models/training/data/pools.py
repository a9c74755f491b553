"""What a source is drawn from: segments of tracks, each with a weight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from models.training.data.activity import segment_length
from models.training.data.packs import Pack, PackedTrack


class Sources(Protocol):
    """Music whose sources can be read one by one; see ``PackedTrack``."""

    @property
    def name(self) -> str:
        """Of the track."""
        ...

    @property
    def num_samples(self) -> int:
        """Length."""
        ...

    @property
    def silent(self) -> tuple[bool, ...]:
        """For each source, whether it has no sound at all."""
        ...

    def read(self, stem: int, channels: Sequence[int], start: int, num_samples: int) -> np.ndarray:
        """Read a part of one source, as float32 [C, num_samples]; outside the track there is silence."""
        ...


@dataclass(frozen=True)
class Segments:
    """A track, and where in it crops are taken from.

    Attributes:
        track: the music.
        starts: first samples of its segments.
        length: of each segment, samples.
        weight: how likely the track is, beside others.
    """

    track: Sources
    starts: tuple[int, ...]
    length: int
    weight: float


class SegmentPool:
    """What a source is drawn from.

    Args:
        entries: at least one.
    """

    def __init__(self, entries: Sequence[Segments]) -> None:
        self.entries = tuple(entries)
        weights = np.array([entry.weight for entry in entries])
        self.weights = weights / weights.sum()

    def draw(self, generator: np.random.Generator, num_samples: int) -> tuple[Sources, int]:
        """A track, and the first of ``num_samples`` samples, in one of its segments if that is long enough."""
        entry = self.entries[generator.choice(len(self.entries), p=self.weights)]
        start = entry.starts[generator.integers(len(entry.starts))]
        start += int(generator.integers(max(1, entry.length - num_samples + 1)))
        return entry.track, max(0, min(start, entry.track.num_samples - num_samples))


@dataclass(frozen=True)
class MoreMusic:
    """Music beside a pack's, to draw from.

    Attributes:
        share: probability of drawing from it.
        stems: for a source, where it is drawn from; sources without an entry come from the pack.
        rests: for a source, tracks that give all the others.
    """

    share: float
    stems: Mapping[int, SegmentPool]
    rests: Mapping[int, SegmentPool]


def pack_pool(
    pack: Pack,
    tracks: Sequence[PackedTrack],
    sources: Sequence[int],
    salient: dict[str, list[list[int]]] | None,
    advice: str,
) -> SegmentPool:
    """The pool of a pack's tracks in which any of the sources plays.

    Args:
        pack: the pack.
        tracks: of it.
        sources: numbers of stems.
        salient: for each file the first samples of the salient segments of each stem; None: crops from anywhere.
        advice: which tracks, and what to do if the sources do not play in them.

    Raises:
        ValueError: no track has one of the sources.
    """
    entries = []
    for track in tracks:
        if salient is not None:
            starts = tuple(sorted({start for source in sources for start in salient[track.path.name][source]}))
            entries.append(Segments(track, starts, segment_length(track.num_samples, pack.sample_rate), len(starts)))
        elif not all(track.silent[source] for source in sources):
            entries.append(Segments(track, (0,), track.num_samples, 1.0))
    entries = [entry for entry in entries if entry.starts]
    if not entries:
        names = ", ".join(repr(pack.stems[source]) for source in sources)
        if salient is None:
            raise ValueError(f"stem {names} is silent in all {len(tracks)} {advice}")
        raise ValueError(f"stem {names} has no salient segment in all {len(tracks)} {advice}, or set data.crops=random")
    return SegmentPool(entries)
