"""A bar on stderr that shows how far a separation is."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

Stems = dict[str, Any]
"""A piece of the stems: {stem: [C, t]}, tensors or arrays."""


def show_progress(pieces: Iterable[Stems], num_samples: int | None, sample_rate: int, label: str) -> Iterator[Stems]:
    """Pass pieces of stems on; a bar on stderr shows the seconds of audio done and the estimated time left.

    Args:
        pieces: consecutive pieces {stem: [C, t]}.
        num_samples: total number of samples, None if unknown.
        sample_rate: their rate, Hz.
        label: text before the bar.
    """
    from tqdm import tqdm

    num_done = 0
    total_s = None if num_samples is None else math.ceil(num_samples / sample_rate)
    with tqdm(total=total_s, desc=label, unit="s") as bar:
        for piece in pieces:
            yield piece
            num_done += length(piece)
            bar.update(math.ceil(num_done / sample_rate) - bar.n)


def length(piece: Stems) -> int:
    """Samples in a piece {stem: [C, t]}: t."""
    return next(iter(piece.values())).shape[-1]
