"""The stems of one track while they grow: chunks in, weighted results joined.

With chunks of the usual length the result is that of `models.signal.chunking.overlap_add`, to the bit.
"""

import torch
from torch import Tensor

from models.signal.chunking import triangle_window


class StemBuffer:
    """Cuts the next chunks from a mixture and joins what came of them.

    Args:
        mixture: [C, T].
        num_stems: S.
        window: usual length of a chunk, samples.

    Attributes:
        covered: leading samples that a chunk has reached.
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
        """Where the next chunks begin: so many of one length, or fewer; or one, if it is shorter.

        Args:
            num_chunks: at most so many.
            length: of each, samples; a last one is cut at the track's end.
            overlap: fraction of a chunk that it shares with the next one; a short chunk shares nothing.
        """
        starts = [self.covered if length < self._window or overlap == 0 else self._next]
        hop = self._hop(overlap)
        while len(starts) < num_chunks and starts[-1] + hop + length <= self.num_samples:
            starts.append(starts[-1] + hop)
        return starts

    def cut(self, starts: list[int], length: int) -> Tensor:
        """Chunks [B, C, t] that begin there."""
        return torch.stack([self._mixture[:, start : start + length] for start in starts])

    def add(self, starts: list[int], stems: Tensor, overlap: float) -> int:
        """Join the stems [B, S, C, t] of chunks; returns how many samples they were the first to cover."""
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
        """The stems [S, C, T]; each an equal part of the mixture where no chunk has been."""
        stems = self._total
        stems[..., : self.covered] /= self._gain[: self.covered]
        stems[..., self.covered :] = self._mixture[:, self.covered :] / len(stems)
        return stems

    def _hop(self, overlap: float) -> int:
        return max(1, round(self._window * (1 - overlap)))
