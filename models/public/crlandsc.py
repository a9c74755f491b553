"""The networks of crlandsc/Music-Demixing-with-Band-Split-RNN: amanteur's before the repair of the mask.

Their code reads the mask's values, frame by frame in memory, as if they lay feature by feature. Time and frequency of
each band's mask are mixed up by that, and weights that were trained so need it so.

Source: github.com/crlandsc/Music-Demixing-with-Band-Split-RNN (no licence stated), read and written anew; the repair is
    amanteur's commit c6daf60.
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
