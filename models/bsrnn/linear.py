"""One fully connected layer for each band, computed as one batched matrix product."""

import math

import torch
from torch import Tensor, nn


class BandLinear(nn.Module):
    """Affine map of the last dimension with one matrix for each of K bands: [K, ..., inputs] to [K, ..., outputs].

    Args:
        bands: K.
        inputs: features in.
        outputs: features out.
    """

    def __init__(self, bands: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)  # nn.Linear's
        self.weight = nn.Parameter(torch.empty(bands, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(bands, 1, outputs).uniform_(-bound, bound))

    def forward(self, bands: Tensor) -> Tensor:
        """[K, ..., inputs] to [K, ..., outputs]."""
        flat = bands.flatten(1, -2)
        return torch.baddbmm(self.bias, flat, self.weight).unflatten(1, bands.shape[1:-1])
