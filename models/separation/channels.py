"""Separates mixtures of any number of channels: the channels that belong together go through the network together."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from models.separation.progress import Stems
from models.separation.streams import aligned, copied
from models.signal.library import library_of

SURROUND = {3: (2, 1), 5: (2, 1, 2), 6: (2, 1, 1, 2), 8: (2, 1, 1, 2, 2)}
"""Neighbouring channels that are pairs of loudspeakers, for 3.0, 5.0, 5.1 and 7.1 in the order of wav files."""


class ChannelSeparator(Protocol):
    """A separator whose network has a fixed number of input channels.

    Attributes:
        name: for messages.
        stems: names of the stems it returns, in order.
        sample_rate: the rate it works at, Hz.
        channels: of its input.
    """

    name: str
    stems: tuple[str, ...]
    sample_rate: int
    channels: int

    def separate_stream(self, blocks: Iterable[Any], sample_rate: int) -> Iterator[Stems]:
        """Separate consecutive pieces [C, t] into consecutive pieces {stem: [C, t']}."""
        ...


def channel_groups(channels: int, most: int) -> tuple[int, ...]:
    """How many neighbouring channels go through the network together.

    Args:
        channels: of the mixture.
        most: of the network. A network of two channels takes left and right together; centre and bass alone.

    Returns:
        Sizes of the groups, in order; each is 1 or ``most``, and their sum is ``channels``.
    """
    if most == 2 and channels in SURROUND:
        return SURROUND[channels]
    return (most,) * (channels // most) + (1,) * (channels % most)


def separate_channels(
    separator: ChannelSeparator, blocks: Iterable[Any], channels: int, sample_rate: int
) -> Iterator[Stems]:
    """Separate a mixture of any number of channels with bounded memory.

    Args:
        separator: of 1 or more channels.
        blocks: consecutive float32 pieces of one mixture, each [C, t] with any t.
        channels: C.
        sample_rate: Hz.

    Yields:
        Consecutive pieces {stem: [C, t']} of the stems.

    Raises:
        ValueError: see ``models.separation.separator.NetworkSeparator.separate``.
    """
    groups = channel_groups(channels, separator.channels)
    if len(groups) == 1:
        yield from separator.separate_stream(blocks, sample_rate)
        return
    starts = [sum(groups[:index]) for index in range(len(groups))]
    copies = copied(blocks, len(groups))
    streams = [
        separator.separate_stream(_some_channels(copy, start, size), sample_rate)
        for copy, start, size in zip(copies, starts, groups, strict=True)
    ]
    for pieces in aligned(streams):
        library = library_of(next(iter(pieces[0].values())))
        yield {stem: library.concatenate([piece[stem] for piece in pieces]) for stem in separator.stems}


def _some_channels(blocks: Iterable[Any], start: int, size: int) -> Iterator[Any]:
    for block in blocks:
        yield block[start : start + size]
