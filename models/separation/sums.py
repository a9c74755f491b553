"""Stems that sum to the mixture: a stem and its accompaniment, a residual, or the rest shared out among the stems.

Law: what is yielded sums to the mixture, to the accuracy of float32; after ``on_grid``, of the format's samples.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from models.separation.progress import Stems
from models.separation.streams import aligned, copied
from models.signal.library import library_of

ACCOMPANIMENT, RESIDUAL, SHARED = "accompaniment", "residual", "shared"
SUMS = (ACCOMPANIMENT, RESIDUAL, SHARED)
"""What is done with the rest, the mixture minus the sum of the stems: the first two are names of stems for it."""


def names_with_rest(stems: Sequence[str], sums: str | None) -> tuple[str, ...]:
    """Names of the stems that are written, the one that takes the rest last.

    Args:
        stems: that the separator returns.
        sums: one of ``SUMS``, or None: the stems as they are.

    Raises:
        ValueError: the separator has a stem with the name of the rest.
    """
    if sums not in (ACCOMPANIMENT, RESIDUAL):
        return tuple(stems)
    if sums in stems:
        raise ValueError(f"the network has a stem {sums!r} of its own; take another checkpoint or option")
    return (*stems, sums)


def with_rest(
    separate: Callable[[Iterable[Any]], Iterator[Stems]], blocks: Iterable[Any], sums: str | None
) -> Iterator[Stems]:
    """Separate a mixture, and do with the rest what is said.

    The mixture is held in memory only as far as the separator has read ahead.

    Args:
        separate: consecutive pieces [C, t] of a mixture to pieces {stem: [C, t']}.
        blocks: consecutive pieces of the mixture.
        sums: one of ``SUMS``; None leaves the stems as they are. ``shared`` gives each stem an equal part of the rest:
            of all stems that sum to the mixture, these are the nearest to the network's.

    Yields:
        Consecutive pieces {stem: [C, t]}, with the stems of ``names_with_rest``.
    """
    if sums is None:
        yield from separate(blocks)
        return
    first, second = copied(blocks, 2)
    for stems, mixture in aligned([separate(first), ({"mixture": block} for block in second)]):
        rest = mixture["mixture"] - sum(stems.values())
        if sums == SHARED:
            yield {stem: samples + rest / len(stems) for stem, samples in stems.items()}
        else:
            yield {**stems, sums: rest}


def on_grid(stems: Stems, step: float) -> Stems:
    """Round stems {stem: [C, t]} to a format's samples so that they sum to their sum, rounded once.

    Each stem rounded on its own, four stems of 16 bits would miss the sum by up to two samples' steps (-84 dBFS). Here
    the last stem is the rest.

    Args:
        stems: not rounded.
        step: distance of neighbouring sample values, a power of two; see ``models.audio.formats.step``.
    """
    *names, last = stems
    library = library_of(stems[last])
    exact = {name: library.asarray(samples, dtype=library.float64) for name, samples in stems.items()}
    total = _rounded(sum(exact.values()), step)
    rounded = {name: _rounded(exact[name], step) for name in names}
    rest = total - sum(rounded.values())
    return {name: library.asarray(each, dtype=library.float32) for name, each in {**rounded, last: rest}.items()}


def _rounded(samples: Any, step: float) -> Any:
    return (samples / step).round() * step
