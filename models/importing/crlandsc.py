"""The layout of crlandsc/Music-Demixing-with-Band-Split-RNN: amanteur's names and shapes, but another mask."""

from torch import Tensor

from models.importing import amanteur
from models.importing.weights import Weights
from models.public.amanteur import AmanteurNetworkConfig
from models.public.crlandsc import CrlandscConfig

NAME = "crlandsc"
OVERLAP = amanteur.OVERLAP
fits = amanteur.fits


def read(weights: Weights, stems: tuple[str, ...] | None) -> tuple[AmanteurNetworkConfig, dict[str, Tensor]]:
    """As ``amanteur.read``, but the mask's outputs keep their order; see ``models.public.crlandsc``."""
    return amanteur.read(weights, stems, bins_first=False)


def combine(networks: list[AmanteurNetworkConfig]) -> CrlandscConfig:
    """The configuration of a checkpoint of these networks."""
    return CrlandscConfig(tuple(networks))
