"""Windowed overlap-add: applies a function of short chunks to a stream of any length, with bounded memory.

Law: if the function returns its chunks unchanged, the stream is unchanged, for every window, hop and length, edges
included. This holds because each output sample is divided by the sum of its window values.

Streams are of torch tensors or of numpy arrays; torch is imported for tensors only.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from models.signal.in_order import map_in_order
from models.signal.library import library_of

if TYPE_CHECKING:
    from torch import Tensor

Samples = TypeVar("Samples", np.ndarray, "Tensor")

LONGEST_SEGMENT_S = 600
LARGEST_BATCH = 1024
MOST_SHIFTS = 64


@dataclass(frozen=True)
class SeparateConfig:
    """How a mixture is cut into chunks for the network."""

    segment_s: float
    """Length of a chunk, seconds."""
    overlap: float
    """Fraction of a chunk that it shares with the next one, in [0, 1)."""
    batch: int
    """Chunks that go through the network at once."""
    shifts: int = 1
    """Estimates of each chunk that are averaged; each is of a copy delayed by another fraction of the network's hop."""
    residual: float = 0.0
    """Share of what all stems together leave of the mixture that is given to ``other``, in [0, 1]."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: a value out of range; the message names the flag.
        """
        if not 0 < self.segment_s <= LONGEST_SEGMENT_S:
            raise ValueError(
                f"separate.segment_s must be more than 0 and at most {LONGEST_SEGMENT_S} seconds, got {self.segment_s}"
            )
        if not 0 <= self.overlap < 1:
            raise ValueError(f"separate.overlap must be at least 0 and less than 1, got {self.overlap}")
        if not (isinstance(self.batch, int) and 1 <= self.batch <= LARGEST_BATCH):
            raise ValueError(f"separate.batch must be a whole number from 1 to {LARGEST_BATCH}, got {self.batch}")
        if not (isinstance(self.shifts, int) and 1 <= self.shifts <= MOST_SHIFTS):
            raise ValueError(f"separate.shifts must be a whole number from 1 to {MOST_SHIFTS}, got {self.shifts}")

        if not 0 <= self.residual <= 1:
            raise ValueError(f"separate.residual must be at least 0 and at most 1, got {self.residual}")

    def window_size(self, sample_rate: int) -> int:
        """Length of a chunk in samples."""
        return max(1, round(self.segment_s * sample_rate))

    def hop_size(self, sample_rate: int) -> int:
        """Distance between the starts of neighbouring chunks in samples."""
        return max(1, round(self.window_size(sample_rate) * (1 - self.overlap)))


def triangle_weights(size: int) -> np.ndarray:
    """Positive float32 weights that rise linearly to 1 in the middle and fall again, [size].

    Overlap-add divides by the sum of the weights. Chunks that overlap by half or less are thus joined by linear
    cross-fades. With more overlap, a chunk counts most in its middle, where it has the most context on both sides.
    """
    rise = np.arange(1, size // 2 + size % 2 + 1, dtype=np.float32)
    return np.concatenate([rise, rise[::-1][size % 2 :]]) / rise[-1]


def triangle_window(size: int) -> "Tensor":
    """``triangle_weights`` as a tensor."""
    import torch

    return torch.from_numpy(triangle_weights(size))


def cut_chunks(blocks: Iterable[Samples], window: int, hop: int) -> Iterator[Samples]:
    """Cut a stream into overlapping chunks.

    Args:
        blocks: consecutive pieces of one signal, each [C, t] with any t.
        window: length of a chunk, samples.
        hop: distance between the starts of neighbouring chunks, samples, at most `window`.

    Yields:
        Chunks [C, window], and a shorter one at the end if some samples are in no full chunk.
    """
    buffer = None
    covered = 0  # leading samples of the buffer that are in an earlier chunk too
    for block in blocks:
        buffer = block if buffer is None else library_of(block).concatenate([buffer, block], axis=-1)
        while buffer.shape[-1] >= window:
            yield buffer[..., :window]
            buffer = buffer[..., hop:]
            covered = window - hop
    if buffer is not None and buffer.shape[-1] > covered:
        yield buffer


def batch_chunks(chunks: Iterable[Samples], batch: int) -> Iterator[Samples]:
    """Stack up to `batch` consecutive chunks [C, t] of equal length into [B, C, t]."""
    group: list[Samples] = []
    for chunk in chunks:
        if group and chunk.shape != group[0].shape:
            yield library_of(chunk).stack(group)
            group = []
        group.append(chunk)
        if len(group) == batch:
            yield library_of(chunk).stack(group)
            group = []
    if group:
        yield library_of(group[0]).stack(group)


def overlap_add(
    process: Callable[[Samples], Samples],
    blocks: Iterable[Samples],
    window: int,
    hop: int,
    batch: int,
    workers: int = 1,
) -> Iterator[Samples]:
    """Apply a function of chunks to a stream and join the results with unity gain.

    There is no padding: the last chunk has only the remaining samples. A piece is yielded as soon as no later chunk
    overlaps it, so batch and workers bound the memory, for a stream of any length.

    Args:
        process: maps chunks [B, C, t] to [B, ..., t].
        blocks: consecutive pieces of one signal, each [C, t] with any t.
        window: length of a chunk, samples.
        hop: distance between the starts of neighbouring chunks, samples, at most `window`.
        batch: chunks in one call of ``process``.
        workers: calls of ``process`` at once, see ``models.signal.in_order``.

    Yields:
        Consecutive pieces of the result, each [..., t].
    """
    weights = triangle_weights(window)
    total: Any = None
    gain: Any = None  # sums of the weighted results and of the weights, from the start of the newest chunk on
    for results in map_in_order(process, batch_chunks(cut_chunks(blocks, window, hop), batch), workers):
        for result in results:
            weight = library_of(result).asarray(weights[: result.shape[-1]].copy())
            weighted = result * weight
            if total is not None:
                yield total[..., :hop] / gain[:hop]
                shared = gain.shape[-1] - hop
                weighted[..., :shared] += total[..., hop:]
                weight[:shared] += gain[hop:]
            total, gain = weighted, weight
    if total is not None:
        yield total / gain
