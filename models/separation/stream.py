"""Separates a mixture of any length chunk by chunk, with bounded memory: on torch tensors or numpy arrays."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from models.audio.reader import check_finite
from models.separation.progress import Stems
from models.signal.chunking import SeparateConfig
from models.signal.library import library_of
from models.signal.resampling import resample_blocks

OTHER = "other"
"""The stem that takes what no other one claims."""


class RateSeparator(Protocol):
    """Separates at one rate.

    Attributes:
        name: for messages.
        stems: names of the S stems it returns, in order.
        sample_rate: the rate it works at, Hz.
        channels: its input channels C.
    """

    name: str
    stems: tuple[str, ...]
    sample_rate: int
    channels: int


def separate_at_own_rate(
    separator: RateSeparator,
    blocks: Iterable[Any],
    sample_rate: int,
    separate: Callable[[Iterator[Any]], Iterator[Any]],
) -> Iterator[Stems]:
    """Separate a mixture of any rate, mono or with the separator's channels.

    Args:
        separator: its traits.
        blocks: consecutive pieces [C, t] of the mixture.
        sample_rate: their rate, Hz.
        separate: pieces at the separator's rate to pieces [S, C, t'] of its stems.

    Yields:
        Consecutive pieces {stem: [C, t']} at the mixture's rate.

    Raises:
        ValueError: the mixture is empty, has another number of channels, or is not finite; or the stems are not.
    """
    if not (isinstance(sample_rate, int | np.integer) and sample_rate > 0):
        raise ValueError(f"the sample rate must be a positive whole number of Hz, got {sample_rate!r}")
    sample_rate = int(sample_rate)
    rate = separator.sample_rate
    source = _CheckedMixture(blocks, sample_rate, separator.channels)
    separated = separate(resample_blocks(source, sample_rate, rate))
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
