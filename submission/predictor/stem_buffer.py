"""Cuts chunks from a track and adds their stems up by weighted overlap-add.

With chunks of the usual length the result is bit-identical to that of `models.signal.chunking.overlap_add`.
"""

import torch
from torch import Tensor

from models.signal.chunking import triangle_window


class StemBuffer:
    """Cuts the next chunks from a mixture and joins their stems.

    Args:
        mixture: [C, T].
        num_stems: S.
        window: usual length of a chunk, samples.

    Attributes:
        covered: number of samples, from the start, that chunks have covered.
    """

    def __init__(self, mixture: Tensor, num_stems: int, window: int) -> None:
        self._mixture = mixture
        self._window = window
        self._weights = triangle_window(window)
        self._total = torch.zeros(num_stems, *mixture.shape)  # weighted sums of the stems
        self._gain = torch.zeros(mixture.shape[-1])  # sums of the weights
        self._next = 0  # start of the next chunk of the usual length
        self.covered = 0

    @property
    def num_samples(self) -> int:
        """T."""
        return self._mixture.shape[-1]

    def starts(self, num_chunks: int, length: int, overlap: float) -> list[int]:
        """The starts of the next chunks, samples.

        Args:
            num_chunks: the largest number of chunks.
            length: of each chunk, samples; the last chunk of a track may be shorter.
            overlap: fraction of a chunk that it shares with the next one. A chunk shorter than the usual length
                overlaps with no earlier chunk.
        """
        starts = [self.covered if length < self._window or overlap == 0 else self._next]
        hop = self._hop(overlap)
        while len(starts) < num_chunks and starts[-1] + hop + length <= self.num_samples:
            starts.append(starts[-1] + hop)
        return starts

    def cut(self, starts: list[int], length: int) -> Tensor:
        """The chunks [B, C, t] that begin at these samples."""
        return torch.stack([self._mixture[:, start : start + length] for start in starts])

    def add(self, starts: list[int], stems: Tensor, overlap: float) -> int:
        """Add the stems [B, S, C, t] of chunks; returns the number of newly covered samples."""
        end = before = self.covered
        for start, result in zip(starts, stems, strict=True):
            end = start + result.shape[-1]
            weight = self._weights[: result.shape[-1]]
            self._total[..., start:end] += result * weight
            self._gain[start:end] += weight
        self.covered = end
        self._next = min(end, starts[-1] + self._hop(overlap))
        return end - before

    def finish(self) -> Tensor:
        """The stems [S, C, T]; where no chunk has been, each is an equal part of the mixture."""
        stems = self._total
        stems[..., : self.covered] /= self._gain[: self.covered]
        stems[..., self.covered :] = self._mixture[:, self.covered :] / len(stems)
        return stems

    def _hop(self, overlap: float) -> int:
        return max(1, round(self._window * (1 - overlap)))
