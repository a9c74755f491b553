"""The normalisations of a BSRNN: two of features, for sequences of any length, and one of the level as music comes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

NORMS = ("group", "rms")
EPSILON = 1e-5

FLOOR = 1e-4
"""Of the running level: music below this peak stays quiet, about -80 dB."""

Memory = dict[nn.Module, Any]
"""What the modules of a causal network keep of the frames before; each has an entry of its own."""
Norm = str | Callable[..., nn.Module]
"""The norm of a block: a kind of ``SequenceNorm``, or a function that makes another norm from the scale's shape."""


class SequenceNorm(nn.Module):
    """Normalise [..., sequence, features] and scale each feature.

    ``"group"`` is GroupNorm with one group: mean and variance over the sequence and the features together, as in the
    authors' code. ``"rms"`` divides each position by the root mean square of its features; the result is independent of
    other positions.

    Args:
        kind: ``"group"`` or ``"rms"``.
        *shape: shape of the scale (and shift); the last is the number of features, those before it broadcast against
            the dimensions left of the sequence.
        epsilon: added to the variance or the power.
    """

    def __init__(self, kind: str, *shape: int, epsilon: float = EPSILON) -> None:
        super().__init__()
        self.kind, self.epsilon = kind, epsilon
        self.weight = nn.Parameter(torch.ones(*shape[:-1], 1, shape[-1]))
        self.bias = nn.Parameter(torch.zeros(*shape[:-1], 1, shape[-1])) if kind == "group" else None

    def forward(self, sequence: Tensor) -> Tensor:
        """[..., sequence, features] to the same shape."""
        if self.bias is None:
            power = sequence.square().mean(dim=-1, keepdim=True)
            # A float32 weight would turn a bfloat16 sequence into float32, and its layer would turn it back.
            return sequence * torch.rsqrt(power + self.epsilon) * self.weight.to(sequence.dtype)
        variance, mean = torch.var_mean(sequence, dim=(-2, -1), keepdim=True, correction=0)
        return (sequence - mean) * torch.rsqrt(variance + self.epsilon) * self.weight + self.bias


def build_norm(norm: Norm, *shape: int) -> nn.Module:
    """A block's norm with a scale of this shape, see ``Norm``."""
    return SequenceNorm(norm, *shape) if isinstance(norm, str) else norm(*shape)


class RunningLevel(nn.Module):
    """Divide each frame of a spectrogram by the largest magnitude of all bins and channels so far.

    The magnitudes that the network hears are thus those of music whose loudest tone has a peak of 1, whatever the
    loudness, as soon as something has sounded. It takes the place of the division by the mixture's peak, which is in
    the future.

    Args:
        n_fft: window length, samples; a tone of peak 1 has a magnitude of a quarter of it under a Hann window.
    """

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        self.full_scale = n_fft / 4

    def forward(self, spectrogram: Tensor, memory: Memory | None = None) -> Tensor:
        """[B, C, F, L] complex to the same shape.

        Args:
            spectrogram: consecutive frames.
            memory: the largest magnitude of the frames before, under this module; changed.
        """
        loudest = spectrogram.abs().amax(dim=(1, 2)) / self.full_scale  # [B, L]
        if memory is not None:
            loudest = torch.maximum(loudest, memory.get(self, torch.zeros_like(loudest[:, :1])))
        loudest = loudest.cummax(dim=1).values
        if memory is not None:
            memory[self] = loudest[:, -1:]
        return spectrogram / loudest.clamp_min(FLOOR)[:, None, None]
