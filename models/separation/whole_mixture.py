"""Separates a whole mixture with a separator of streams."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from models.audio.reader import BLOCK_S
from models.separation.progress import Stems, length, show_progress

Waveform = TypeVar("Waveform", np.ndarray, Tensor)


class StreamSeparator(Protocol):
    """Separates a mixture piece by piece.

    Attributes:
        name: of the separator, for messages.
        stems: names of the stems it returns, in order.
        sample_rate: the rate it works at, Hz.
    """

    name: str
    stems: tuple[str, ...]
    sample_rate: int

    def separate_stream(self, blocks: Iterable[Tensor], sample_rate: int) -> Iterator[Stems]:
        """Separate consecutive pieces [C, t] into consecutive pieces {stem: [C, t']}."""
        ...


def separate_whole(
    separator: StreamSeparator, mixture: Waveform, sample_rate: int | None, progress: bool
) -> dict[str, Waveform]:
    """Separate a whole mixture; see ``models.separation.separator.NetworkSeparator.separate``."""
    _check_mixture(mixture)
    sample_rate = separator.sample_rate if sample_rate is None else sample_rate
    pieces = separator.separate_stream(_split(mixture, round(BLOCK_S * separator.sample_rate)), sample_rate)
    if progress:
        pieces = show_progress(pieces, mixture.shape[-1], sample_rate, separator.name)
    stems = {stem: torch.empty(mixture.shape) for stem in separator.stems}
    start = 0
    for piece in pieces:
        stop = start + length(piece)
        for stem, samples in piece.items():
            stems[stem][:, start:stop] = samples
        start = stop
    return {stem: _in_kind_of(mixture, waveform) for stem, waveform in stems.items()}


def _split(mixture: Waveform, size: int) -> Iterator[Tensor]:
    """Cut a mixture [C, T] into float32 CPU tensors [C, size] (the last one shorter)."""
    for start in range(0, mixture.shape[-1], size):
        block = mixture[:, start : start + size]
        if isinstance(block, Tensor):
            yield block.detach().to("cpu", torch.float32)
        else:
            yield torch.from_numpy(np.array(block, dtype=np.float32))


def _in_kind_of(mixture: Waveform, waveform: Tensor) -> Waveform:
    """The waveform as an array or tensor like the mixture, with its dtype and device."""
    if isinstance(mixture, Tensor):
        return waveform.to(mixture.device, mixture.dtype)
    return waveform.numpy().astype(mixture.dtype, copy=False)


def _check_mixture(mixture: np.ndarray | Tensor) -> None:
    if not isinstance(mixture, np.ndarray | Tensor):
        raise ValueError(f"the mixture must be a numpy array or a torch tensor, got {type(mixture).__name__}")
    if mixture.ndim != 2:
        raise ValueError(f"the mixture must have the shape [channels, samples], got {tuple(mixture.shape)}")
    is_float = mixture.is_floating_point() if isinstance(mixture, Tensor) else mixture.dtype.kind == "f"
    if not is_float:
        raise ValueError(f"the mixture must hold floating-point samples between -1 and 1, got {mixture.dtype}")
    if mixture.shape[-1] == 0:
        raise ValueError("the mixture is empty: expected at least 1 sample, got 0")
