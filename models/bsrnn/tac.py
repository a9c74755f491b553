"""Transform-average-concatenate: exchange of features between the channels of a mixture, in any number and order."""

import torch
from torch import Tensor, nn

from models.bsrnn.norm import Norm, build_norm


class TransformAverageConcatenate(nn.Module):
    """norm -> transform each channel -> average them -> concatenate the average to each -> + input.

    Transform and average end in a PReLU. The last layer is initialised to zero, so an untrained block returns its input
    and can be added to a trained network.

    Args:
        features: N, features in, out and of the hidden layers.
        norm: see ``Norm``.

    Source: Luo et al. 2020 (arXiv 1910.14104), section 3; after each module of a BSRNN as in SIMO-BSRNN (ICASSP 2024).
    Differs: the norm is first, not last; hidden layers have N units; and there is no PReLU after the last layer, since
        its output begins at zero and must take both signs equally.
    """

    def __init__(self, features: int, norm: Norm) -> None:
        super().__init__()
        self.norm = build_norm(norm, features)
        self.transform = nn.Sequential(nn.Linear(features, features), nn.PReLU())
        self.average = nn.Sequential(nn.Linear(features, features), nn.PReLU())
        self.output = nn.Linear(2 * features, features)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, bands: Tensor, channels: int) -> Tensor:
        """[K, B * C, L, N] with C ``channels`` of each example side by side, to the same shape."""
        transformed = self.transform(self.norm(bands)).unflatten(1, (-1, channels))  # [K, B, C, L, N]
        average = self.average(transformed.mean(dim=2, keepdim=True)).expand_as(transformed)
        return bands + self.output(torch.cat([transformed, average], dim=-1)).flatten(1, 2)
