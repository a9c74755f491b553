"""SCNet, built from ``pymss_core``, which has its authors' class."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.bsrnn import Estimate
from models.peers.checks import check_ranges, check_stems, check_window, optional_package, pad_to


@dataclass(frozen=True)
class SCNetConfig:
    """Shape of an SCNet (Tong et al. 2024, arXiv 2401.13276); the defaults are those of the paper's smaller one."""

    stems: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    """S output stems."""
    sample_rate: int = 44100
    """Hz."""
    n_fft: int = 4096
    """FFT and window length, samples."""
    hop: int = 1024
    """Samples between frames."""
    features: int = 32
    """Channels of the first layer; the second and the third have twice and four times as many."""
    layers: int = 6
    """Pairs of BLSTMs between encoder and decoder, an even number."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_stems(self.stems)
        check_ranges(self, {"sample_rate": 768_000, "hop": 2**16, "features": 1024, "layers": 256})
        check_window(self.n_fft, self.hop)
        if self.features % 4:
            raise ValueError(f"model.features: expected a multiple of 4, got {self.features}")
        if self.layers % 2:
            raise ValueError(f"model.layers: expected an even number, got {self.layers}")


class SCNetNetwork(nn.Module):
    """``pymss_core.modules.scnet.SCNet``.

    Args:
        config: its shape.

    Raises:
        ValueError: ``pymss-core`` is not installed.
    """

    channels = 2

    def __init__(self, config: SCNetConfig) -> None:
        super().__init__()
        package = optional_package("pymss_core.modules.scnet", "pymss-core")
        self.config = config
        self.stems, self.sample_rate, self.hop = config.stems, config.sample_rate, config.hop
        self.scnet = package.SCNet(
            sources=list(config.stems),
            audio_channels=self.channels,
            dims=[2 * self.channels, config.features, 2 * config.features, 4 * config.features],
            nfft=config.n_fft,
            hop_size=config.hop,
            win_size=config.n_fft,
            num_dplayer=config.layers,
        )
        self.scnet.decoder[-1].register_forward_hook(_to_float32)

    def forward(self, mixture: Tensor) -> Estimate:
        """Mixture [B, 2, T] to waveforms [B, S, 2, T]."""
        self.scnet.stft_config["window"] = mixture.new_ones(self.config.n_fft)  # as without one, but torch warns then
        return Estimate(self.scnet(pad_to(mixture, self.config.n_fft))[..., : mixture.shape[-1]])


def _to_float32(layer: nn.Module, inputs: tuple[Tensor, ...], spectrogram: Tensor) -> Tensor:
    """The last layer's output for the inverse STFT, which cannot take bfloat16."""
    return spectrogram.to(torch.float32)
