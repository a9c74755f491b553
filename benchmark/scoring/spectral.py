"""Distances of magnitude spectrograms: the multi-resolution STFT distance, L1-frequency, bleedless and fullness.

Spectrograms are made in blocks of frames, so that memory does not grow with the track, but for the 512 mel bands of
bleedless and fullness.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
"""FFT size, hop and window length in samples of auraloss's defaults."""
LEAST_POWER = 1e-8
L1_FFT, L1_HOP = 2048, 1024
MEL_FFT, MEL_HOP, MEL_BANDS = 4096, 1024, 512
LEAST_MAGNITUDE = 1e-10
RANGE_DB = 80.0
BLOCK_VALUES = 1 << 18
"""Samples of the frames in a block: what fits into the processor's cache is several times faster."""


def mrstft(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Multi-resolution STFT distance: spectral convergence plus mean difference of log magnitudes, three resolutions.

    0 for equal magnitudes. NaN for audio of at most 1024 samples, which the largest transform cannot mirror.

    Source: R. Yamamoto et al., "Parallel WaveGAN", 2020; `auraloss.freq.MultiResolutionSTFTLoss` 0.4.0 with its
        defaults, both channels together.

    Shape:
        - reference, estimate: [C, T]
    """
    import torch

    if reference.shape[-1] <= max(fft for fft, _, _ in RESOLUTIONS) // 2:
        return float("nan")
    total = 0.0
    for fft, hop, length in RESOLUTIONS:
        window = torch.hann_window(length)
        squares = energy = difference = 0.0
        count = 0
        for true, estimated in _powers((reference, estimate), fft, hop, window):
            true, estimated = true.clamp_(min=LEAST_POWER), estimated.clamp_(min=LEAST_POWER)
            count += true.numel()
            energy += true.sum(dtype=torch.float64).item()
            difference += (estimated / true).log_().abs_().sum(dtype=torch.float64).item() / 2
            squares += true.sqrt_().sub_(estimated.sqrt_()).square_().sum(dtype=torch.float64).item()
        total += (squares / energy) ** 0.5 + difference / count
    return total / len(RESOLUTIONS)


def l1_freq(reference: np.ndarray, estimate: np.ndarray) -> float:
    """`100 / (1 + 10 d)` with d the mean absolute difference of the magnitudes, without a window: 100 if equal.

    NaN for audio of at most 1024 samples.

    Source: Music-Source-Separation-Training, `utils/metrics.py` (L1Freq_metric).

    Shape:
        - reference, estimate: [C, T]
    """
    import torch

    if reference.shape[-1] <= L1_FFT // 2:
        return float("nan")
    total, count = 0.0, 0
    for true, estimated in _powers((reference, estimate), L1_FFT, L1_HOP, torch.ones(L1_FFT)):
        count += true.numel()
        total += true.sqrt_().sub_(estimated.sqrt_()).abs_().sum(dtype=torch.float64).item()
    return 100 / (1 + 10 * total / count)


def bleedless_and_fullness(reference: np.ndarray, estimate: np.ndarray, sample_rate: int) -> tuple[float, float]:
    """`100 / (1 + d)` with d the mean excess (bleedless) or lack (fullness) of the estimate's mel spectrogram in dB.

    The means are over the bins with an excess, and over those with a lack; 100 if there are none. Bins more than 80 dB
    below a spectrogram's largest count as 80 dB below it.

    Source: Music-Source-Separation-Training, `utils/metrics.py` (bleed_full).

    Shape:
        - reference, estimate: [C, T]
    """
    import torch

    window, bank = torch.hann_window(MEL_FFT), _mel_bank(sample_rate)
    blocks = [
        torch.stack([power.sqrt_() @ bank for power in powers])
        for powers in _powers((reference, estimate), MEL_FFT, MEL_HOP, window, mode="constant")
    ]
    mels = torch.cat(blocks, dim=2).clamp_(min=LEAST_MAGNITUDE).log10_().mul_(20)  # [2, C, L, mel]
    mels = torch.maximum(mels, mels.amax(dim=(1, 2, 3), keepdim=True) - RANGE_DB)
    difference = mels[1] - mels[0]
    more, less = difference[difference > 0], difference[difference < 0]
    means = [part.abs().mean(dtype=torch.float64).item() if part.numel() else 0.0 for part in (more, less)]
    return 100 / (1 + means[0]), 100 / (1 + means[1])


@lru_cache(maxsize=2)
def _mel_bank(sample_rate: int) -> "Tensor":
    """The mel filters of librosa's defaults, [F, mel]."""
    import warnings

    from torchaudio.functional import melscale_fbanks

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 512 bands are narrower than the bins of low frequencies: some are empty
        return melscale_fbanks(
            MEL_FFT // 2 + 1, 0.0, sample_rate / 2, MEL_BANDS, sample_rate, norm="slaney", mel_scale="slaney"
        )


def _powers(
    signals: Sequence[np.ndarray], fft: int, hop: int, window: "Tensor", mode: str = "reflect"
) -> Iterator[tuple["Tensor", ...]]:
    """The squared magnitudes of each signal [C, T] as in `torch.stft`, in blocks [C, frames, F].

    Only the part of a frame under the window is transformed; its place in the frame changes only phases.
    """
    import torch

    first = (fft - len(window)) // 2
    padded = [
        torch.nn.functional.pad(torch.from_numpy(np.ascontiguousarray(signal, np.float32)), [fft // 2] * 2, mode=mode)
        for signal in signals
    ]
    num_frames = 1 + signals[0].shape[-1] // hop
    at_once = max(1, BLOCK_VALUES // (fft * signals[0].shape[0]))
    views = [signal[:, first : first + (num_frames - 1) * hop + len(window)] for signal in padded]
    views = [view.unfold(-1, len(window), hop) for view in views]
    for start in range(0, num_frames, at_once):
        spectra = [torch.fft.rfft(view[:, start : start + at_once] * window, n=fft) for view in views]
        parts = [torch.view_as_real(spectrum).unbind(-1) for spectrum in spectra]
        yield tuple(real.square().addcmul_(imaginary, imaginary) for real, imaginary in parts)
