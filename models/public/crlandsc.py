"""The networks of crlandsc/Music-Demixing-with-Band-Split-RNN: amanteur's, with a bug in the mask's layout.

The mask's values are in memory frame by frame, but this code reads them as if they were feature by feature. This mixes
up time and frequency within each band. Weights that were trained with the bug need it.

Source: github.com/crlandsc/Music-Demixing-with-Band-Split-RNN (no licence stated), reimplemented after reading it.
    amanteur's commit c6daf60 fixes the bug.
"""

from dataclasses import dataclass

from torch import Tensor

from models.bsrnn.mask import MaskEstimator
from models.public.amanteur import AmanteurNetwork, AmanteurNetworkConfig
from models.public.several import SeveralConfig, SeveralNetworks


class ScrambledMask(MaskEstimator):
    """``MaskEstimator`` whose values [L, C * 2 * w] are read as [C, 2, w, L]."""

    def in_bins(self, values: Tensor) -> Tensor:
        """The values of k bands of w bins, [k, B, L, C * 2 * w], as bins [B, C, L, k * w, 2]."""
        num_frames = values.shape[2]
        values = values.flatten(2).unflatten(-1, (self.channels, 2, -1, num_frames))  # [k, B, C, 2, w, L]
        return values.permute(1, 2, 5, 0, 4, 3).flatten(3, 4)


class CrlandscNetwork(AmanteurNetwork):
    """``AmanteurNetwork`` with a ``ScrambledMask``."""

    mask_estimator = ScrambledMask


@dataclass(frozen=True)
class CrlandscConfig(SeveralConfig):
    """One network for each stem."""

    networks: tuple[AmanteurNetworkConfig, ...]


class CrlandscNetworks(SeveralNetworks):
    """The networks of a checkpoint, see ``SeveralNetworks``."""

    def __init__(self, config: CrlandscConfig) -> None:
        super().__init__(config, CrlandscNetwork)
