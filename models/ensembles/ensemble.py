"""Several networks as one separator: the weighted mean of their estimates, with weights for each stem."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from torch import Tensor

from models.checkpoints.checkpoint import CONFIG, find_checkpoint, read_config
from models.ensembles.config import member_shares, read_ensemble
from models.separation.separator import NetworkSeparator, chosen_stems, load_separator
from models.separation.streams import aligned, copied
from models.separation.whole_mixture import Stems, Waveform, separate_whole


class EnsembleSeparator:
    """Separates with each of its members and averages. Each member has its own chunks.

    As with a single member, the result does not depend on loudness: separate(k x) = k separate(x).

    Attributes:
        members: the separators.
        name: names of the members.
        stems: names of the stems it returns, in order.
        sample_rate: the rate all members work at, Hz.
        channels: input channels of all members.
        shares: weight of each member in each of its stems.
    """

    def __init__(
        self,
        members: Sequence[NetworkSeparator],
        shares: Sequence[Mapping[str, float]] | None = None,
        stems: Sequence[str] | None = None,
    ) -> None:
        """Check that the members fit together.

        Args:
            members: at least one.
            shares: weight of each member in each of its stems, more than 0; they are divided by their sum for a stem.
                By default all members have equal weights in their stems.
            stems: the stems to return; by default those of all members.

        Raises:
            ValueError: the members have different sample rates or channels, or no member has one of the stems.
        """
        traits = {(member.sample_rate, member.channels): member.name for member in members}
        if len(traits) > 1:
            listed = ", ".join(f"{name} {rate} Hz, {channels} channels" for (rate, channels), name in traits.items())
            raise ValueError(f"an ensemble needs one sample rate and one number of channels, got {listed}")
        self.members = tuple(members)
        self.name = " + ".join(member.name for member in members)
        self.sample_rate, self.channels = members[0].sample_rate, members[0].channels
        self.shares = shares or [dict.fromkeys(member.stems, 1.0) for member in members]
        self.stems = chosen_stems(stems, all_stems(self.shares))

    def separate(
        self, mixture: Waveform, sample_rate: int | None = None, progress: bool = False
    ) -> dict[str, Waveform]:
        """Separate a whole mixture; see ``models.separation.separator.NetworkSeparator.separate``."""
        return separate_whole(self, mixture, sample_rate, progress)

    def separate_stream(self, blocks: Iterable[Tensor | np.ndarray], sample_rate: int) -> Iterator[Stems]:
        """Separate a mixture of any length; see ``models.separation.separator.NetworkSeparator.separate_stream``.

        Memory holds only the part of the mixture that the member with the longest chunks reads ahead.
        """
        copies = copied(blocks, len(self.members))
        streams = [member.separate_stream(copy, sample_rate) for member, copy in zip(self.members, copies, strict=True)]
        for pieces in aligned(streams):
            yield {stem: self._mean(stem, pieces) for stem in self.stems}

    def _mean(self, stem: str, pieces: Sequence[Stems]) -> Tensor:
        """The weighted mean of one stem, [C, t]."""
        parts = [
            (shares[stem], piece[stem]) for shares, piece in zip(self.shares, pieces, strict=True) if stem in shares
        ]
        total = sum(share for share, _ in parts)
        return sum((share * part for share, part in parts[1:]), parts[0][0] * parts[0][1]) / total


def all_stems(parts: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """All stems of all parts, in the order of their first appearance."""
    return tuple(dict.fromkeys(stem for part in parts for stem in part))


def open_separator(
    checkpoints: Sequence[str],
    device: str | None = None,
    stems: Sequence[str] | None = None,
    overlap: float | None = None,
    settings: Mapping[str, str | int | float] | None = None,
    one_at_a_time: bool = False,
    precision: str = "float32",
) -> NetworkSeparator | EnsembleSeparator:
    """Load the separator that a command line names: one checkpoint, the mean of several, or an ensemble's file.

    A checkpoint that has no share in any of the stems is not loaded.

    Args:
        checkpoints: names of shipped checkpoints, or folders; or one YAML file, see ``models.ensembles.config``.
        device, overlap, settings, one_at_a_time, precision: see ``models.separation.separator.load_separator``.
        stems: the stems to return, all by default.

    Raises:
        FileNotFoundError: there is no such checkpoint or file.
        ValueError: the checkpoints do not fit together, or see ``models.separation.separator.load_separator``.
    """
    config = read_ensemble(checkpoints)
    if len(config.checkpoints) == 1:
        return load_separator(config.checkpoints[0], device, stems, overlap, settings, one_at_a_time, precision)
    have = [read_config(find_checkpoint(name) / CONFIG)[0].model.stems for name in config.checkpoints]
    shares = member_shares(config, have)
    wanted = chosen_stems(stems, all_stems(have))
    members, counting = [], []
    for name, own in zip(config.checkpoints, shares, strict=True):
        if kept := {stem: own[stem] for stem in wanted if stem in own}:
            members.append(load_separator(name, device, list(kept), overlap, settings, one_at_a_time, precision))
            counting.append(kept)
    return EnsembleSeparator(members, counting, wanted)


def members_of(separator: NetworkSeparator | EnsembleSeparator) -> tuple[NetworkSeparator, ...]:
    """The members of an ensemble, or the separator itself."""
    return separator.members if isinstance(separator, EnsembleSeparator) else (separator,)
