"""Losses: the paper's, and Demucs's.

A network that makes waveforms out of nothing starves on the paper's: its spectral terms are least for silence until the
phases are right, so a Hybrid Demucs is trained with its own.
"""

from torch import Tensor, nn

from models.bsrnn import Estimate
from models.bsrnn.spectrogram import Spectrogram


class WaveformL1Loss(nn.Module):
    """Mean absolute error of the waveform.

    Source: Defossez 2021 (Hybrid Demucs), section 4.
    """

    def forward(self, estimate: Estimate, targets: Tensor) -> Tensor:
        """Estimate and targets [B, S, C, T] to a scalar."""
        return (estimate.waveforms - targets).abs().mean()


class ComplexL1Loss(nn.Module):
    """Mean absolute error of spectrogram (real and imaginary part) and waveform.

    A network that masks a spectrogram is judged on its masked spectrogram, as in the paper; one that returns waveforms
    only, on theirs.

    Args:
        n_fft: FFT length in samples.
        hop: samples between frames.

    Source: Luo & Yu 2022, equation 5.
    """

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.spectrogram = Spectrogram(n_fft, hop)

    def forward(self, estimate: Estimate, targets: Tensor) -> Tensor:
        """Estimate and targets [B, S, C, T] to a scalar."""
        reference = self.spectrogram(targets)
        estimated = estimate.spectrograms
        if estimated is None:
            estimated = self.spectrogram(estimate.waveforms)
        error = estimated - reference
        waveform_error = (estimate.waveforms - targets).abs().mean()
        return error.real.abs().mean() + error.imag.abs().mean() + waveform_error
