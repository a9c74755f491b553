"""Self-attention over the frames, one attention map for all bands."""

from torch import Tensor, nn

from models.bsrnn.norm import Norm, build_norm

QUERY_FEATURES = 4
"""E, query and key features of each band in each head; a query of K bands has K * E features."""


class FrameAttention(nn.Module):
    """norm -> multi-head attention over the frames -> fully connected -> + input, on bands [K, B, L, N].

    Each head maps every band's features to a few query and key features and concatenates those of all bands. Frames are
    thus compared by their whole spectrum, and all bands share one attention map [L, L]. The last layer is initialised
    to zero, so untrained attention returns its input and can be added to a trained network.

    Args:
        features: N, a multiple of ``heads``.
        heads: number of attention maps.
        norm: see ``Norm``.

    Source: Wang et al. 2023 (TF-GridNet, arXiv 2211.12433), cross-frame self-attention; after the RNNs of a BSRNN as in
        arXiv 2603.09187.
    Differs: a norm before the projections instead of a PReLU and a norm after each of them.
    """

    def __init__(self, features: int, heads: int, norm: Norm) -> None:
        super().__init__()
        self.heads = heads
        self.norm = build_norm(norm, features)
        self.queries = nn.Linear(features, heads * QUERY_FEATURES, bias=False)
        self.keys = nn.Linear(features, heads * QUERY_FEATURES, bias=False)
        self.values = nn.Linear(features, features, bias=False)
        self.output = nn.Linear(features, features)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, bands: Tensor) -> Tensor:
        """[K, B, L, N] to the same shape."""
        normed = self.norm(bands)
        queries, keys, values = (self._by_head(layer(normed)) for layer in (self.queries, self.keys, self.values))
        scores = queries @ (keys * keys.shape[-1] ** -0.5).mT  # [B, heads, L, L]
        attended = scores.softmax(dim=-1) @ values  # [B, heads, L, K * N / heads]; torch's own attention is slower here
        attended = attended.unflatten(-1, (len(bands), -1)).permute(3, 0, 2, 1, 4).flatten(3)  # [K, B, L, N]
        return bands + self.output(attended)

    def _by_head(self, bands: Tensor) -> Tensor:
        """[K, B, L, heads * e] to [B, heads, L, K * e]."""
        return bands.unflatten(-1, (self.heads, -1)).permute(1, 3, 2, 0, 4).flatten(3)
