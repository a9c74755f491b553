"""The configuration of a BSRNN, kept beside its network."""

from dataclasses import dataclass

from models.bsrnn.bands import band_widths
from models.bsrnn.norm import NORMS

STEREO = ("folded", "tac", "spatial")
LARGEST = {
    "sample_rate": 768_000,
    "features": 4096,
    "hidden": 4096,
    "layers": 256,
    "mask_factor": 64,
}
"""Largest allowed values, far above every use; they protect against files of unknown origin."""
LARGEST_FFT = 2**17


@dataclass(frozen=True)
class BSRNNConfig:
    """All settings of the network's shape; the defaults are the paper's (Luo & Yu 2022, section 4.2).

    Raises:
        ValueError: a value out of range, named as on the command line (``model.hidden`` ...).
    """

    stems: tuple[str, ...] = ("vocals",)
    """S output stems; several share one encoder and have one masker each."""
    sample_rate: int = 44100
    """Hz."""
    n_fft: int = 2048
    """FFT and window length, samples."""
    hop: int = 512
    """Samples between frames."""
    bands: str = "v7"
    """Band scheme: a name or a spec, see ``models.bsrnn.bands``."""
    features: int = 128
    """N, features of each band."""
    hidden: int = 256
    """Hidden units of each direction of each BLSTM."""
    layers: int = 12
    """Band-and-sequence modules; each holds one BLSTM over time and one over bands."""
    mask_factor: int = 4
    """Hidden units of the mask MLP, in multiples of N."""
    norm: str = "group"
    """``group`` (the paper's) or ``rms`` (each band and frame for itself)."""
    stereo: str = "folded"
    """``folded``: each channel is an example of its own. ``tac``: folded, but channels exchange features after each
    module, which is learned from stereo examples (``data.channels: 2``). ``spatial``: folded, but each band has as an
    input where its bins lie between the channels, see ``SpatialSplit``."""
    mid_side: bool = False
    """Mask mid (L + R) / sqrt(2) and side (L - R) / sqrt(2) instead of left and right, so that sources in the centre
    are separated from the others. For ``folded`` and ``spatial``; trained with ``data.mid_side``."""
    level_inputs: bool = False
    """Give each band its level and magnitudes as inputs; its norm removes them (Differs from the paper)."""
    attention_heads: int = 0
    """Heads of the attention over frames after each module's BLSTMs; 0, the paper's, has none."""
    causal: bool = False
    """Let no frame depend on a later one: LSTMs over time run forwards only, and the level is that of the loudest frame
    so far. Such a network separates music as it comes, see ``models.separation.live``. Needs ``norm: rms``."""

    def __post_init__(self) -> None:
        """Check ranges and that the band scheme fits the FFT."""
        object.__setattr__(self, "stems", tuple(self.stems))
        if not self.stems or len(set(self.stems)) != len(self.stems):
            raise ValueError(f"model.stems: expected one or more different names, got {list(self.stems)}")
        for name, largest in LARGEST.items():
            if not 1 <= getattr(self, name) <= largest:
                raise ValueError(f"model.{name}: expected 1 to {largest}, got {getattr(self, name)}")
        if not 16 <= self.n_fft <= LARGEST_FFT or self.n_fft % 2:
            raise ValueError(f"model.n_fft: expected an even number from 16 to {LARGEST_FFT}, got {self.n_fft}")
        if not 1 <= self.hop <= self.n_fft // 2:
            raise ValueError(f"model.hop: expected 1 to n_fft / 2 = {self.n_fft // 2}, got {self.hop}")
        if self.norm not in NORMS:
            raise ValueError(f"model.norm: expected one of {', '.join(NORMS)}, got {self.norm!r}")
        if self.attention_heads < 0 or (self.attention_heads and self.features % self.attention_heads):
            raise ValueError(
                f"model.attention_heads: expected 0 or a divisor of features = {self.features}, "
                f"got {self.attention_heads}"
            )
        if self.stereo not in STEREO:
            raise ValueError(f"model.stereo: expected one of {', '.join(STEREO)}, got {self.stereo!r}")
        if self.mid_side and self.stereo == "tac":
            raise ValueError(f"model.mid_side: expected model.stereo folded or spatial, got {self.stereo}")
        if self.causal and (self.norm != "rms" or self.attention_heads or self.stereo == "tac"):
            raise ValueError(
                "model.causal: expected norm=rms, attention_heads=0 and stereo=folded or spatial, "
                f"got {self.norm}, {self.attention_heads} and {self.stereo}"
            )
        _ = self.band_widths

    @property
    def band_widths(self) -> tuple[int, ...]:
        """Bins of each of the K bands."""
        return band_widths(self.bands, self.n_fft, self.sample_rate)

    @property
    def num_bins(self) -> int:
        """F, bins of the spectrum."""
        return self.n_fft // 2 + 1
