"""Band-Split RNN (Luo & Yu 2022) in PyTorch; this package imports torch only."""

from models.bsrnn.bands import SCHEMES, band_widths, parse_bands
from models.bsrnn.config import BSRNNConfig
from models.bsrnn.estimate import Estimate
from models.bsrnn.network import BSRNN

__all__ = ["BSRNN", "SCHEMES", "BSRNNConfig", "Estimate", "band_widths", "parse_bands"]
