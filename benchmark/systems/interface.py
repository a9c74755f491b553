"""The interface of systems, and the conversion of any mixture to a model's sample rate and number of channels."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from models.tracks import STEMS, Track


class System(Protocol):
    """A `models.separation.separator.Separator` that also knows its size."""

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the stems it returns; those in STEMS are scored."""
        ...

    @property
    def sample_rate(self) -> int | None:
        """Its sample rate in Hz; None for any."""
        ...

    @property
    def parameters(self) -> int:
        """Number of weights."""
        ...

    def separate(self, mixture: np.ndarray, sample_rate: int | None = None) -> dict[str, np.ndarray]:
        """Separate a mixture [C, T] into {stem: [C, T]}."""
        ...


@runtime_checkable
class Counted(Protocol):
    """A system that can count its operations."""

    def gmacs_per_second(self) -> float:
        """Multiply-accumulates to separate one second of stereo audio, in 10^9, overlaps included."""
        ...


class TrackSystem:
    """A system that needs more than the mixture: an oracle needs the true stems, a folder its files.

    Attributes:
        stems: names of the stems it returns.
        parameters: 0.
    """

    stems: tuple[str, ...]
    parameters = 0

    def for_track(self, track: Track) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        """Prepare a track; returns a function that separates its mixture [C, T] into {stem: [C, T]}."""
        raise NotImplementedError


def separate_at(
    model_rate: int,
    num_channels: int,
    separate: Callable[[Any], dict[str, Any]],
    mixture: np.ndarray,
    sample_rate: int | None,
) -> dict[str, np.ndarray]:
    """Call a separation of tensors at its own rate and channels, and convert its stems back to the mixture's.

    Args:
        model_rate: the sample rate it needs, Hz.
        num_channels: the channels it needs; a mono mixture is copied to them, and the stems averaged back.
        separate: maps a tensor [C, T] to {stem: [C, T]}.
        mixture: [C, T].
        sample_rate: the mixture's rate in Hz; None for the model's.

    Raises:
        ValueError: the mixture has another number of channels.
    """
    import torch

    from models.signal.resampling import resample

    channels, num_samples = mixture.shape
    if channels not in (1, num_channels):
        raise ValueError(f"expected a mixture of {num_channels} channels or one, got {channels}")
    sample_rate = sample_rate or model_rate
    audio = torch.from_numpy(np.ascontiguousarray(mixture, dtype=np.float32)).expand(num_channels, -1)
    stems = {}
    for stem, output in separate(resample(audio, sample_rate, model_rate)).items():
        output = resample(output.float().cpu(), model_rate, sample_rate)[..., :num_samples]
        if channels < num_channels:
            output = output.mean(0, keepdim=True)
        stems[stem] = output.numpy()
    return stems


def count_parameters(module: Any) -> int:
    """Number of weights of a torch module."""
    return sum(parameter.numel() for parameter in module.parameters())


def four_stems(stems: dict[str, Any]) -> dict[str, Any]:
    """Add outputs that are none of the four stems (guitar, piano) to other."""
    extra = [audio for stem, audio in stems.items() if stem not in STEMS]
    kept = {stem: audio for stem, audio in stems.items() if stem in STEMS}
    if extra and "other" in kept:
        kept["other"] = kept["other"] + sum(extra)
    return kept
