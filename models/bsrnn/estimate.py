"""What a trainable separation network returns."""

from typing import NamedTuple

from torch import Tensor


class Estimate(NamedTuple):
    """Estimated stems of a batch of mixtures.

    Attributes:
        waveforms: estimated stems, [B, S, C, T].
        spectrograms: their complex spectrograms before resynthesis, [B, S, C, F, L], from networks that mask one; else
            None.
    """

    waveforms: Tensor
    spectrograms: Tensor | None = None
