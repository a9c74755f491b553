"""Open-Unmix, built from its own package."""

from dataclasses import dataclass

from torch import Tensor, nn

from models.bsrnn import Estimate
from models.peers.checks import check_ranges, check_stems, check_window, pad_to

WIENER_ITERATIONS = 1
"""Of Open-Unmix's multichannel Wiener filter when separating, as in umxhq; training has none, as in the original."""


@dataclass(frozen=True)
class OpenUnmixConfig:
    """Shape of an Open-Unmix (Stoeter et al. 2019); the defaults are umxhq's."""

    stems: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    """S output stems, one model for each."""
    sample_rate: int = 44100
    """Hz."""
    n_fft: int = 4096
    """FFT and window length, samples."""
    hop: int = 1024
    """Samples between frames."""
    max_bin: int = 1487
    """Bins that the network uses as input (umxhq: up to 16 kHz)."""
    hidden: int = 512
    """Width of the bottleneck."""
    layers: int = 3
    """BLSTM layers."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_stems(self.stems)
        check_ranges(self, {"sample_rate": 768_000, "hop": 2**16, "hidden": 4096, "layers": 256})
        check_window(self.n_fft, self.hop)
        if not 1 <= self.max_bin <= self.n_fft // 2 + 1:
            raise ValueError(f"model.max_bin: expected 1 to {self.n_fft // 2 + 1}, got {self.max_bin}")


class OpenUnmixNetwork(nn.Module):
    """One ``openunmix.model.OpenUnmix`` for each stem inside ``openunmix.model.Separator``.

    Args:
        config: its shape.
    """

    channels = 2

    def __init__(self, config: OpenUnmixConfig) -> None:
        super().__init__()
        from openunmix.model import OpenUnmix, Separator

        self.config = config
        self.stems, self.sample_rate, self.hop = config.stems, config.sample_rate, config.hop
        targets = {
            stem: OpenUnmix(
                nb_bins=config.n_fft // 2 + 1,
                nb_channels=self.channels,
                hidden_size=config.hidden,
                nb_layers=config.layers,
                max_bin=config.max_bin,
            )
            for stem in config.stems
        }
        self.separator = Separator(
            targets, sample_rate=config.sample_rate, n_fft=config.n_fft, n_hop=config.hop, nb_channels=self.channels
        )

    def forward(self, mixture: Tensor) -> Estimate:
        """Mixture [B, 2, T] to waveforms [B, S, 2, T]."""
        self.separator.niter = 0 if self.training or len(self.stems) == 1 else WIENER_ITERATIONS
        return Estimate(self.separator(pad_to(mixture, self.config.n_fft))[..., : mixture.shape[-1]])
