"""Losses: the paper's, BS-RoFormer's, SCNet's and Demucs's.

A network that makes waveforms out of nothing starves on the paper's: its spectral terms are least for silence until the
phases are right, so a Hybrid Demucs is trained with its own.
"""

from typing import Any

import torch
from torch import Tensor, nn

from models.bsrnn import Estimate
from models.bsrnn.spectrogram import Spectrogram
from models.presets.preset import Preset
from models.training.robust import with_truncation

LOSS_FFT = (2048, 512)
"""FFT and hop of the loss for networks that have no spectrogram of their own: the paper's."""
RESOLUTIONS = (4096, 2048, 1024, 512, 256)
"""FFTs of the multi-resolution loss: BS-RoFormer's."""


class WaveformL1Loss(nn.Module):
    """Mean absolute error of the waveform.

    Source: Defossez 2021 (Hybrid Demucs), section 4.
    """

    def forward(self, estimate: Estimate, targets: Tensor) -> Tensor:
        """Estimate and targets [B, S, C, T] to a scalar."""
        return (estimate.waveforms - targets).abs().mean()


class LogErrorLoss(nn.Module):
    """Logarithm of each stem's squared error, mean over examples and stems, dB: minus the SDR but for constants.

    What the challenge measures is a mean of logarithms of squared errors: 3 dB more error cost the same in a quiet stem
    as in a loud one. But it takes them over whole tracks, in which the errors of quiet moments are lost beside those of
    loud ones. So an error well below ``FLOOR_DB`` counts by its size, and silence where a stem pauses is no escape from
    learning it.
    """

    FLOOR_DB = -20.0
    """The best of -45, -30, -20 and -10 in ten minutes from random weights: docs/training.md."""

    def forward(self, estimate: Estimate, targets: Tensor) -> Tensor:
        """Estimate and targets [B, S, C, T], of peak 1, to a scalar."""
        error = (estimate.waveforms - targets).square().mean(dim=(-2, -1))
        return 10 * torch.log10(error + 10 ** (self.FLOOR_DB / 10)).mean()


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
        waveform_error = (estimate.waveforms - targets).abs().mean()
        return _ComplexL1.apply(estimated, reference) + waveform_error


class SpectrogramRmseLoss(nn.Module):
    """Root of the mean squared error of the complex spectrogram, of each example and stem, and the mean of these.

    Args:
        n_fft: FFT length in samples.
        hop: samples between frames.

    Source: Tong et al. 2024 (SCNet), section 3.3.
    """

    FLOOR = 1e-5

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.spectrogram = Spectrogram(n_fft, hop)

    def forward(self, estimate: Estimate, targets: Tensor) -> Tensor:
        """Estimate and targets [B, S, C, T] to a scalar; below ``FLOOR`` the gradient of the root vanishes."""
        error = torch.view_as_real(self.spectrogram(estimate.waveforms - targets)) / self.spectrogram.n_fft**0.5
        return (error.square().flatten(2).mean(dim=-1) + self.FLOOR**2).sqrt().mean()


class _ComplexL1(torch.autograd.Function):
    """Mean of |real| + |imaginary| of the difference of two complex tensors; only the first has a gradient.

    The gradient is written out, from signs, where autograd goes over real and imaginary parts apart.
    """

    @staticmethod
    def forward(ctx: Any, estimate: Tensor, reference: Tensor) -> Tensor:
        error = torch.view_as_real(estimate - reference)
        ctx.save_for_backward(error.sign())
        return error.abs_().sum() / reference.numel()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (signs,) = ctx.saved_tensors
        return torch.view_as_complex(signs * (gradient * 2 / signs.numel())), None


class MultiResolutionLoss(nn.Module):
    """Mean absolute error of spectrograms (real and imaginary part), mean over several FFTs, and of the waveform.

    Long windows judge the partials of a tone, short ones the onset of a drum. All see the waveform, so that a network
    that masks a spectrogram is judged on what is left of the masked one after resynthesis. The transform is linear:
    that of the error stands for those of estimate and target.

    Args:
        resolutions: FFT and window lengths in samples, each even.

    Source: Lu et al. 2023 (BS-RoFormer, arXiv 2309.02612), section 3.
    Differs: frames overlap by half at every resolution, where theirs are 147 samples apart, which takes a CPU ten times
        as long; the spectral terms are averaged, not added, which keeps the loss at the size of the paper's.
    """

    def __init__(self, resolutions: tuple[int, ...] = RESOLUTIONS) -> None:
        super().__init__()
        self.resolutions = resolutions
        for n_fft in resolutions:
            self.register_buffer(f"window_{n_fft}", torch.hann_window(n_fft), persistent=False)

    def forward(self, estimate: Estimate, targets: Tensor) -> Tensor:
        """Estimate and targets [B, S, C, T] to a scalar."""
        error = estimate.waveforms - targets
        terms = [_SpectralL1.apply(error, self.get_buffer(f"window_{n_fft}")) for n_fft in self.resolutions]
        return torch.stack(terms).mean() + error.abs().mean()


class _SpectralL1(torch.autograd.Function):
    """Mean of |real| + |imaginary| over the spectrogram of [..., T] whose frames overlap by half.

    Frames are those of ``Spectrogram(n_fft, n_fft // 2)``. The gradient is written out: one inverse FFT of the signs
    and an overlap-add, where autograd takes a complex FFT of twice the size; a training step on a CPU feels it.
    """

    @staticmethod
    def forward(ctx: Any, waveform: Tensor, window: Tensor) -> Tensor:
        hop = len(window) // 2
        padded = nn.functional.pad(waveform, (hop, hop + -waveform.shape[-1] % hop))
        spectrogram = torch.view_as_real(torch.fft.rfft(padded.unfold(-1, 2 * hop, hop) * window))  # [..., L, F, 2]
        ctx.save_for_backward(spectrogram.sign(), window)
        ctx.length = waveform.shape[-1]
        return 2 * spectrogram.abs().mean()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        signs, window = ctx.saved_tensors
        hop = len(window) // 2
        spectrum = torch.view_as_complex(signs) * (gradient / signs.numel())
        spectrum[..., 0] *= 2  # the inverse counts all bins but the first and the last twice
        spectrum[..., -1] *= 2
        frames = torch.fft.irfft(spectrum, 2 * hop, norm="forward") * window  # [..., L, n_fft]
        first, second = nn.functional.pad(frames, (0, 0, 1, 1)).unflatten(-1, (2, hop)).unbind(-2)
        joined = (first[..., 1:, :] + second[..., :-1, :]).flatten(-2)
        return joined[..., hop : hop + ctx.length], None


def build_loss(preset: Preset) -> nn.Module:
    """The loss of a preset, truncated where it says so: (``Estimate``, targets [B, S, C, T]) to a scalar."""
    return with_truncation(_plain_loss(preset), preset)


def _plain_loss(preset: Preset) -> nn.Module:
    """The loss that ``train.loss`` names."""
    if preset.train.loss == "waveform":
        return WaveformL1Loss()
    if preset.train.loss == "log_error":
        return LogErrorLoss()
    if preset.train.loss == "multiresolution":
        return MultiResolutionLoss()
    loss = SpectrogramRmseLoss if preset.train.loss == "rmse" else ComplexL1Loss
    return loss(getattr(preset.model, "n_fft", LOSS_FFT[0]), getattr(preset.model, "hop", LOSS_FFT[1]))
