"""Short-time Fourier transform and its inverse for signals of any length."""

import torch
from torch import Tensor, nn

ENVELOPE_FLOOR = 1e-8
"""Avoids a division by zero in the padding before the first frame's centre, which is removed afterwards."""


class Spectrogram(nn.Module):
    """Complex spectrogram with a Hann window, centred frames and zero padding.

    The signal is first padded to a whole number of hops, so all samples are covered by the same number of frames. The
    round trip is exact (< 1e-6) for every length from one sample.

    Args:
        n_fft: FFT and window length in samples.
        hop: samples between frames, at most ``n_fft // 2``.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        # Under torch.device("meta") it would import torch's compiler: a second of processor time.
        self.register_buffer("window", torch.hann_window(n_fft, device="cpu"), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform [..., T] to spectrogram [..., F, L] with F = n_fft // 2 + 1 and L = ceil(T / hop) + 1."""
        *lead, length = waveform.shape
        padded = nn.functional.pad(waveform.reshape(-1, length), (0, -length % self.hop))
        spectrogram = torch.stft(
            padded, self.n_fft, self.hop, window=self.window, center=True, pad_mode="constant", return_complex=True
        )
        return spectrogram.reshape(*lead, *spectrogram.shape[-2:])

    def inverse(self, spectrogram: Tensor, length: int) -> Tensor:
        """Spectrogram [..., F, L] to waveform [..., T] of ``length`` samples."""
        frames = torch.fft.irfft(spectrogram.mT, self.n_fft) * self.window  # [..., L, n_fft]
        envelope = self._overlap_add((self.window**2).expand(frames.shape[-2], -1))
        start = self.n_fft // 2
        return (self._overlap_add(frames) / envelope.clamp_min(ENVELOPE_FLOOR))[..., start : start + length]

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """Sum overlapping frames [..., L, n_fft], one every hop, to [..., T]."""
        blocks, num_frames = -(-self.n_fft // self.hop), frames.shape[-2]
        total = frames.new_zeros(*frames.shape[:-2], num_frames + blocks - 1, self.hop)
        for block, part in enumerate(frames.split(self.hop, dim=-1)):
            total[..., block : block + num_frames, : part.shape[-1]] += part
        return total.flatten(-2)
