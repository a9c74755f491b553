"""Moises-Light, built from ``moises_light``."""

from dataclasses import dataclass

from torch import Tensor, nn

from models.bsrnn import Estimate
from models.peers.checks import check_ranges, check_stems, check_window, optional_package, pad_to

BOTTLENECK = 8
"""Factor by which the package's layers along frequency narrow a band."""
TRANSFORMER = {
    "heads": 4, "dim_head": 32, "ff_mult": 2, "attn_dropout": 0.0, "proj_dropout": 0.0, "ff_dropout": 0.0,
    "flash_attn": False,
}  # fmt: skip
"""The package's own values; its fused attention is slower on CPUs, warns there and computes the same."""


@dataclass(frozen=True)
class MoisesLightConfig:
    """Shape of a Moises-Light (Hung et al. 2025, arXiv 2510.06785); the defaults are those of the paper's smaller one.

    One network estimates all stems; the paper trains one for each.
    """

    stems: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    """S output stems."""
    sample_rate: int = 44100
    """Hz."""
    n_fft: int = 6144
    """FFT and window length, samples."""
    hop: int = 1024
    """Samples between frames."""
    max_bin: int = 2048
    """Bins that the network sees and estimates; the stems have nothing above."""
    bands: int = 4
    """Bands of equal width, each with its own convolutions."""
    features: int = 32
    """Channels of the first layer, of all bands; each of the next three has as many more."""
    layers: int = 6
    """Pairs of transformers, over time and over frequency."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_stems(self.stems)
        limits = {"sample_rate": 768_000, "hop": 2**16, "bands": 256, "features": 1024, "layers": 256}
        check_ranges(self, limits)
        check_window(self.n_fft, self.hop)
        if self.features % self.bands:
            raise ValueError(f"model.features: expected a multiple of model.bands ({self.bands}), got {self.features}")
        step, last = BOTTLENECK * self.bands, self.n_fft // 2 + 1
        if not step <= self.max_bin <= last or self.max_bin % self.bands:
            raise ValueError(
                f"model.max_bin: expected {step} to {last} and a multiple of model.bands, got {self.max_bin}"
            )


class MoisesLightNetwork(nn.Module):
    """``moises_light.MoisesLight``, but for its last layer, which makes the masks of each stem from all its features.

    The package makes those of all stems from the four masks of one, a mean of which is a poor start for any of them.

    Args:
        config: its shape.

    Raises:
        ValueError: ``moises-light`` is not installed.
    """

    channels = 2

    def __init__(self, config: MoisesLightConfig) -> None:
        super().__init__()
        package = optional_package("moises_light", "moises-light")
        self.config = config
        self.stems, self.sample_rate, self.hop = config.stems, config.sample_rate, config.hop
        self.moises_light = package.MoisesLight(
            sources=list(config.stems),
            audio_channels=self.channels,
            n_fft=config.n_fft,
            win_size=config.n_fft,
            hop_size=config.hop,
            freq_dim=config.max_bin,
            n_bands=config.bands,
            G=config.features,
            n_rope=config.layers,
            bn_factor=BOTTLENECK,
            transformer_params=TRANSFORMER,
        )
        of_one = self.moises_light.final_conv
        self.moises_light.final_conv = nn.Conv2d(
            of_one.in_channels,
            len(config.stems) * 2 * self.channels * config.bands,
            of_one.kernel_size,
            padding=of_one.padding,
            groups=config.bands,
        )
        self.moises_light.source_head = None

    def forward(self, mixture: Tensor) -> Estimate:
        """Mixture [B, 2, T] to waveforms [B, S, 2, T]."""
        return Estimate(self.moises_light(pad_to(mixture, self.config.n_fft))[..., : mixture.shape[-1]])
