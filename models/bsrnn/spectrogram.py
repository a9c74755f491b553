"""Short-time Fourier transform and its inverse for signals of any length."""

import torch
from torch import Tensor, nn


class Spectrogram(nn.Module):
    """Complex spectrogram with a Hann window, centred frames and zero padding.

    The signal is padded to whole hops first, so every sample is covered by as many frames as any other and the round
    trip is exact (< 1e-6) for every length from one sample.

    Args:
        n_fft: FFT and window length in samples.
        hop: samples between frames, at most ``n_fft // 2``.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform [..., T] to spectrogram [..., F, L] with F = n_fft // 2 + 1 and L = ceil(T / hop) + 1."""
        *lead, length = waveform.shape
        padded = nn.functional.pad(waveform.reshape(-1, length), (0, -length % self.hop))
        spectrogram = torch.stft(
            padded, self.n_fft, self.hop, window=self.window, center=True, pad_mode="constant", return_complex=True
        )
        return spectrogram.contiguous().reshape(*lead, *spectrogram.shape[-2:])

    def inverse(self, spectrogram: Tensor, length: int) -> Tensor:
        """Spectrogram [..., F, L] to waveform [..., T] of ``length`` samples."""
        *lead, num_bins, num_frames = spectrogram.shape
        padded_length = (num_frames - 1) * self.hop
        waveform = torch.istft(
            spectrogram.reshape(-1, num_bins, num_frames),
            self.n_fft,
            self.hop,
            window=self.window,
            center=True,
            length=padded_length,
        )
        return waveform[:, :length].reshape(*lead, length)
