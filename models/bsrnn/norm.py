"""The two normalisations of a BSRNN; both accept sequences of any length."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

NORMS = ("group", "rms")
EPSILON = 1e-5

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
            return sequence * torch.rsqrt(power + self.epsilon) * self.weight
        variance, mean = torch.var_mean(sequence, dim=(-2, -1), keepdim=True, correction=0)
        return (sequence - mean) * torch.rsqrt(variance + self.epsilon) * self.weight + self.bias


def build_norm(norm: Norm, *shape: int) -> nn.Module:
    """A block's norm with a scale of this shape, see ``Norm``."""
    return SequenceNorm(norm, *shape) if isinstance(norm, str) else norm(*shape)
