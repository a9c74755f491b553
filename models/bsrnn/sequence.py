"""The band-and-sequence module: residual BLSTMs over time and over bands, then optional attention and exchange."""

import torch
from torch import Tensor, nn

from models.bsrnn.attention import FrameAttention
from models.bsrnn.norm import Memory, Norm, build_norm
from models.bsrnn.tac import TransformAverageConcatenate

MAX_SEQUENCES = 65535
"""cuDNN fails on more sequences in one call."""


class ResidualBLSTM(nn.Module):
    """norm -> BLSTM -> fully connected -> + input, on sequences [batch, sequence, N].

    Args:
        features: N.
        hidden: hidden units of each direction.
        norm: see ``Norm``.
        causal: an LSTM that runs forwards only.
    """

    def __init__(self, features: int, hidden: int, norm: Norm, causal: bool = False) -> None:
        super().__init__()
        self.norm = build_norm(norm, features)
        self.blstm = nn.LSTM(features, hidden, bidirectional=not causal)
        self.linear = nn.Linear(hidden if causal else 2 * hidden, features)

    def forward(self, sequences: Tensor, memory: Memory | None = None) -> Tensor:
        """[batch, sequence, N] to the same shape.

        Args:
            sequences: of any length.
            memory: of a causal one: the state that the pieces before ended with; changed to that of this piece's end.
        """
        steps = self.norm(sequences).transpose(0, 1)  # the BLSTM's order; another would make copies around the linear
        if memory is not None:
            outputs, memory[self] = self.blstm(steps, memory.get(self))
            return sequences + self.linear(outputs).transpose(0, 1)
        if torch.jit.is_tracing():  # a traced graph has no fixed number of parts, and does not run on cuDNN
            return sequences + self.linear(self.blstm(steps)[0]).transpose(0, 1)
        parts = [self.blstm(part)[0] for part in steps.split(MAX_SEQUENCES, dim=1)]
        return sequences + self.linear(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)).transpose(0, 1)


class BandSequenceModule(nn.Module):
    """One BLSTM over the frames of each band (weights shared by all bands), then one over the bands of each frame.

    Attention over the frames and an exchange between channels are optional.

    Args:
        features: N.
        hidden: hidden units of each direction.
        norm: see ``Norm``.
        attention_heads: heads of ``FrameAttention``; 0 leaves it out.
        exchange: whether channels exchange features through ``TransformAverageConcatenate``.
        causal: whether the one over frames runs forwards only.

    Source: Luo & Yu 2022, section 3.2.
    Differs: the paper has neither attention nor exchange.
    """

    def __init__(
        self,
        features: int,
        hidden: int,
        norm: Norm,
        attention_heads: int = 0,
        exchange: bool = False,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.over_time = ResidualBLSTM(features, hidden, norm, causal)
        self.over_bands = ResidualBLSTM(features, hidden, norm)
        self.attention = FrameAttention(features, attention_heads, norm) if attention_heads else None
        self.exchange = TransformAverageConcatenate(features, norm) if exchange else None

    def forward(self, bands: Tensor, channels: int = 1, memory: Memory | None = None) -> Tensor:
        """[K, B, L, N] to the same shape; every ``channels`` examples are the channels of one mixture.

        ``memory``: see ``ResidualBLSTM``.
        """
        num_bands, batch, num_frames, _ = bands.shape
        bands = self.over_time(bands.flatten(0, 1), memory).unflatten(0, (num_bands, batch))
        across = self.over_bands(bands.flatten(1, 2).transpose(0, 1))  # [B * L, K, N]
        bands = across.transpose(0, 1).unflatten(1, (batch, num_frames))
        if self.attention is not None:
            bands = self.attention(bands)
        if self.exchange is not None:
            bands = self.exchange(bands, channels)
        return bands
