"""The band-split RNN: complex spectrogram, band split, BLSTMs over time and over bands, masks.

In: a mixture [B, C, T]. Out: stems [B, S, C, T] and their masked spectrograms. It needs torch only.
"""

from models.bsrnn.bands import SCHEMES, band_widths, parse_bands
from models.bsrnn.config import BSRNNConfig
from models.bsrnn.estimate import Estimate
from models.bsrnn.network import BSRNN

__all__ = ["BSRNN", "SCHEMES", "BSRNNConfig", "Estimate", "band_widths", "parse_bands"]
