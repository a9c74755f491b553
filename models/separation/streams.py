"""Streams of blocks that belong together: several readers of one stream, and streams cut at the same places."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from models.separation.progress import Stems, length


def copied(blocks: Iterable[Any], count: int) -> list[Iterator[Any]]:
    """Copies of a stream; a block is kept until all copies have read it.

    Differs: itertools.tee keeps up to 57 more blocks, which is minutes of audio.
    """
    source = iter(blocks)
    queues: list[deque[Any]] = [deque() for _ in range(count)]

    def copy(own: deque[Any]) -> Iterator[Any]:
        while True:
            if not own:
                block = next(source, None)
                if block is None:
                    return
                for queue in queues:
                    queue.append(block)
            yield own.popleft()

    return [copy(queue) for queue in queues]


def aligned(streams: Sequence[Iterator[Stems]]) -> Iterator[list[Stems]]:
    """Cut equally long streams into pieces of equal length.

    The stream that is behind is read next, so at most one piece of each stream is in memory.

    Args:
        streams: each yields consecutive pieces {stem: [C, t]}.

    Yields:
        One piece of each stream, all of the same length.
    """
    rest = [next(stream, None) for stream in streams]
    while True:
        for index, stream in enumerate(streams):
            while (piece := rest[index]) is not None and length(piece) == 0:
                rest[index] = next(stream, None)
        ready = [piece for piece in rest if piece is not None]
        if not ready:
            return
        assert len(ready) == len(streams), "the streams of an ensemble are equally long"
        size = min(length(piece) for piece in ready)
        yield [{stem: samples[..., :size] for stem, samples in piece.items()} for piece in ready]
        rest = [{stem: samples[..., size:] for stem, samples in piece.items()} for piece in ready]
