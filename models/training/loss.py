"""The paper's loss: L1 of the real part, of the imaginary part and of the waveform, added up unweighted."""

from torch import Tensor, nn

from models.bsrnn import Estimate
from models.bsrnn.spectrogram import Spectrogram


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
