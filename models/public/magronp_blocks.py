"""The blocks that magronp/bsrnn adds to a BSRNN: grouped norms, attention over frames, exchange between channels.

Source: github.com/magronp/bsrnn (MIT), described in arXiv 2603.09187.
"""

import torch
from torch import Tensor, nn

ATTENTION_EPSILON = 1e-7
SLOPE = 0.25
"""Initial slope of a PReLU."""


class GroupedNorm(nn.Module):
    """GroupNorm of sequences [batch, sequence, N]: each group of features is normalised over the whole sequence.

    Args:
        groups: how many groups of neighbouring features.
        features: N.
        epsilon: added to the variance.
    """

    def __init__(self, groups: int, features: int, epsilon: float) -> None:
        super().__init__()
        self.groups, self.epsilon = groups, epsilon
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, sequence: Tensor) -> Tensor:
        """[batch, sequence, N] to the same shape."""
        grouped = sequence.unflatten(-1, (self.groups, -1))
        variance, mean = torch.var_mean(grouped, dim=(1, 3), keepdim=True, correction=0)
        normed = (grouped - mean) * torch.rsqrt(variance + self.epsilon)
        return normed.flatten(2) * self.weight + self.bias


class Attention(nn.Module):
    """Multi-head self-attention over the frames of all bands together, + input, on bands [K, B, L, N].

    Source: Wang et al. 2023 (TF-GridNet, arXiv 2211.12433), full-band self-attention.

    Args:
        bands: K.
        features: N, a multiple of ``heads``.
        heads: attention maps.
        query_features: features of a band's query and key in one head.
    """

    def __init__(self, bands: int, features: int, heads: int, query_features: int) -> None:
        super().__init__()
        self.queries = HeadProjection(bands, features, heads, query_features)
        self.keys = HeadProjection(bands, features, heads, query_features)
        self.values = HeadProjection(bands, features, heads, features // heads)
        self.output = HeadProjection(bands, features, 1, features)

    def forward(self, bands: Tensor) -> Tensor:
        """[K, B, L, N] to the same shape."""
        num_bands = len(bands)
        queries, keys, values = (layer(bands).flatten(3) for layer in (self.queries, self.keys, self.values))
        scores = queries @ (keys * keys.shape[-1] ** -0.5).mT  # [B, heads, L, L]
        attended = scores.softmax(dim=-1) @ values  # [B, heads, L, N / heads * K]
        attended = attended.unflatten(-1, (-1, num_bands)).permute(4, 0, 2, 1, 3).flatten(3)  # [K, B, L, N]
        return bands + self.output(attended)[:, 0].permute(3, 0, 1, 2)


class HeadProjection(nn.Module):
    """Fully connected -> PReLU -> norm over features and bands, for each head: [K, B, L, N] to [B, heads, L, E, K].

    Args:
        bands: K.
        features: N.
        heads: number of heads; each has its own slope and norm.
        outputs: E, features out of each head.
    """

    def __init__(self, bands: int, features: int, heads: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, heads * outputs)
        self.slope = nn.Parameter(torch.full((heads, 1), SLOPE))
        self.weight = nn.Parameter(torch.ones(heads, 1, outputs, bands))
        self.bias = nn.Parameter(torch.zeros(heads, 1, outputs, bands))

    def forward(self, bands: Tensor) -> Tensor:
        """[K, B, L, N] to [B, heads, L, E, K]."""
        projected = self.linear(bands).unflatten(-1, (len(self.slope), -1))  # [K, B, L, heads, E]
        projected = torch.where(projected > 0, projected, projected * self.slope).permute(1, 3, 2, 4, 0)
        variance, mean = torch.var_mean(projected, dim=(3, 4), keepdim=True, correction=0)
        return (projected - mean) * torch.rsqrt(variance + ATTENTION_EPSILON) * self.weight + self.bias


class Exchange(nn.Module):
    """Transform each channel -> average -> concatenate the average to each -> + input, on bands [K, B * C, L, N].

    Each of the three layers ends in the same activation; a PReLU has one slope for all three.

    Args:
        features: N.
        hidden: units of transform and average.
        activation: ``tanh`` or ``prelu``.

    Source: transform-average-concatenate, Luo et al. 2020 (arXiv 1910.14104).
    """

    def __init__(self, features: int, hidden: int, activation: str) -> None:
        super().__init__()
        self.transform = nn.Linear(features, hidden)
        self.average = nn.Linear(hidden, hidden)
        self.concatenate = nn.Linear(2 * hidden, features)
        self.activation: nn.Module = nn.Tanh() if activation == "tanh" else nn.PReLU()

    def forward(self, bands: Tensor, channels: int) -> Tensor:
        """[K, B * C, L, N] with C ``channels`` of each example side by side, to the same shape."""
        transformed = self.activation(self.transform(bands.unflatten(1, (-1, channels))))  # [K, B, C, L, hidden]
        average = self.activation(self.average(transformed.mean(dim=2, keepdim=True)))
        own, shared = self.concatenate.weight.chunk(2, dim=1)
        joined = nn.functional.linear(transformed, own, self.concatenate.bias)
        joined = joined + nn.functional.linear(average, shared)  # the same for all channels: computed once
        return bands + self.activation(joined).flatten(1, 2)
