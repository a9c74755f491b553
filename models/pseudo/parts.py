"""Parts of a song: stretches of half a minute that hold the segments in which it plays; each is separated at once."""

from collections.abc import Sequence
from dataclasses import dataclass

PART_S = 30.0
"""Longest part: what is lost when a separation is killed."""


@dataclass(frozen=True)
class Part:
    """A stretch of a song.

    Attributes:
        start: first sample.
        stop: where it ends, exclusive.
        starts: first samples of its segments, counted from ``start``.
    """

    start: int
    stop: int
    starts: tuple[int, ...]


def cut_into_parts(starts: Sequence[int], length: int, longest: int) -> list[Part]:
    """Put the active segments of a song into parts: each segment is in one part, and parts hold nothing between them.

    Args:
        starts: first samples of the segments, rising; they may overlap.
        length: of a segment, samples.
        longest: of a part, samples; at least a segment.
    """
    groups: list[list[int]] = []
    for start in starts:
        if groups and start <= groups[-1][-1] + length and start + length - groups[-1][0] <= longest:
            groups[-1].append(start)
        else:
            groups.append([start])
    return [Part(group[0], group[-1] + length, tuple(start - group[0] for start in group)) for group in groups]
