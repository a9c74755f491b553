"""Separates a mixture of any length chunk by chunk, with bounded memory: on torch tensors or numpy arrays."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from models.audio.reader import check_finite
from models.separation.progress import Stems
from models.signal.chunking import SeparateConfig, overlap_add
from models.signal.library import library_of
from models.signal.resampling import resample_blocks

OTHER = "other"
"""The stem that takes what no other one claims."""


class ChunkSeparator(Protocol):
    """Separates chunks.

    Attributes:
        name: for messages.
        stems: names of the S stems it returns, in order.
        sample_rate: the rate it works at, Hz.
        channels: its input channels C.
        settings: how a mixture is cut into chunks.
    """

    name: str
    stems: tuple[str, ...]
    sample_rate: int
    channels: int
    settings: SeparateConfig

    def separate_chunks(self, mixtures: Any) -> Any:
        """Chunks [B, C, t] to their stems [B, S, C, t]."""
        ...


def separate_in_chunks(separator: ChunkSeparator, blocks: Iterable[Any], sample_rate: int) -> Iterator[Stems]:
    """Separate consecutive pieces [C, t] of a mixture; see ``models.separation.separator.separate_stream``."""
    if not (isinstance(sample_rate, int | np.integer) and sample_rate > 0):
        raise ValueError(f"the sample rate must be a positive whole number of Hz, got {sample_rate!r}")
    sample_rate = int(sample_rate)
    source = _CheckedMixture(blocks, sample_rate, separator.channels)
    mixture = resample_blocks(source, sample_rate, separator.sample_rate)
    settings, rate = separator.settings, separator.sample_rate
    window, hop = settings.window_size(rate), settings.hop_size(rate)
    separated = overlap_add(separator.separate_chunks, mixture, window, hop, settings.batch)
    separated = check_finite(separated, rate, f"output of {separator.name}")
    num_out = 0
    for piece in resample_blocks(separated, rate, sample_rate):
        piece = piece[..., : source.num_samples - num_out]  # resampling twice may add a sample at the end
        num_out += piece.shape[-1]
        if source.is_mono:
            piece = piece.mean(axis=1, keepdims=True)
        yield dict(zip(separator.stems, piece, strict=True))


def chosen_stems(wanted: Sequence[str] | None, available: tuple[str, ...]) -> tuple[str, ...]:
    """Check the wanted stems and return them; all available ones by default.

    Raises:
        ValueError: no stem, a stem named twice, or a stem that is not available.
    """
    chosen = available if wanted is None else tuple(wanted)
    if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(available):
        raise ValueError(f"stems must be different ones of {', '.join(available)}, got {', '.join(chosen) or 'none'}")
    return chosen


def check_residual(settings: SeparateConfig, stems: Sequence[str]) -> None:
    """Check that a network has a stem to take the residual.

    Raises:
        ValueError: it has none, and the settings give it some.
    """
    if settings.residual and (OTHER not in stems or len(stems) < 2):
        got = ", ".join(stems)
        raise ValueError(f"separate.residual: expected a network of {OTHER} and more stems, got {got}; set it to 0")


class _CheckedMixture:
    """Passes the blocks of a mixture on: checks and counts them, and copies mono to the network's channels."""

    def __init__(self, blocks: Iterable[Any], sample_rate: int, channels: int) -> None:
        self.num_samples = 0
        self.is_mono = False
        self._blocks: Iterator[Any] = check_finite(blocks, sample_rate, "mixture")
        self._channels = channels

    def __iter__(self) -> Iterator[Any]:
        for block in self._blocks:
            self.is_mono = block.shape[0] == 1 and self._channels > 1
            if block.shape[0] != self._channels and not self.is_mono:
                expected = "1" if self._channels == 1 else f"1 or {self._channels}"
                raise ValueError(
                    f"the mixture must be [channels, samples] with {expected} channels, got {block.shape[0]}"
                )
            self.num_samples += block.shape[-1]
            yield library_of(block).concatenate([block] * self._channels) if self.is_mono else block
        if self.num_samples == 0:
            raise ValueError("the mixture is empty: expected at least 1 sample, got 0")
