"""The band-and-sequence module: residual BLSTMs, first over time, then over bands, and attention over the frames."""

import torch
from torch import Tensor, nn

from models.bsrnn.attention import FrameAttention
from models.bsrnn.norm import SequenceNorm

MAX_SEQUENCES = 65535
"""cuDNN fails on more sequences in one call."""


class ResidualBLSTM(nn.Module):
    """norm -> BLSTM -> fully connected -> + input, on sequences [batch, sequence, N].

    Args:
        features: N.
        hidden: hidden units of each direction.
        norm: see ``SequenceNorm``.
    """

    def __init__(self, features: int, hidden: int, norm: str) -> None:
        super().__init__()
        self.norm = SequenceNorm(norm, features)
        self.blstm = nn.LSTM(features, hidden, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(2 * hidden, features)

    def forward(self, sequences: Tensor) -> Tensor:
        """[batch, sequence, N] to the same shape."""
        parts = [self.blstm(part)[0] for part in self.norm(sequences).split(MAX_SEQUENCES)]
        return sequences + self.linear(parts[0] if len(parts) == 1 else torch.cat(parts))


class BandSequenceModule(nn.Module):
    """One BLSTM over the frames of each band (weights shared by all bands), then one over the bands of each frame.

    With ``attention_heads``, attention over the frames follows.

    Args:
        features: N.
        hidden: hidden units of each direction.
        norm: see ``SequenceNorm``.
        attention_heads: heads of ``FrameAttention``; 0, the paper's, has none.

    Source: Luo & Yu 2022, section 3.2.
    """

    def __init__(self, features: int, hidden: int, norm: str, attention_heads: int = 0) -> None:
        super().__init__()
        self.over_time = ResidualBLSTM(features, hidden, norm)
        self.over_bands = ResidualBLSTM(features, hidden, norm)
        self.attention = FrameAttention(features, attention_heads, norm) if attention_heads else nn.Identity()

    def forward(self, bands: Tensor) -> Tensor:
        """[K, B, L, N] to the same shape."""
        num_bands, batch, num_frames, _ = bands.shape
        bands = self.over_time(bands.flatten(0, 1)).unflatten(0, (num_bands, batch))
        across = self.over_bands(bands.flatten(1, 2).transpose(0, 1))  # [B * L, K, N]
        return self.attention(across.transpose(0, 1).unflatten(1, (batch, num_frames)))
