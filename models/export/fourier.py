"""The short-time Fourier transform in real arithmetic and ONNX operators, for graphs of any length.

A transform of n_fft = R * Q samples is two matrix products (Cooley and Tukey's factorisation): the DFT of R samples, Q
apart, then for each of the R results a matrix that turns and transforms the other Q. For 4096 samples this is 0.5 + 0.5
million multiplications and 2 MB of constants; a convolution with all sines and cosines would need 17 million and 67 MB,
more than the network itself.
"""

import functools
import math

import torch
from torch import Tensor, nn

from models.bsrnn.spectrogram import ENVELOPE_FLOOR, Spectrogram
from models.public.spectrogram import MirroredSpectrogram


class RealFourier(nn.Module):
    """The DFT of real signals and its inverse, as real and imaginary parts of F = n_fft // 2 + 1 bins.

    Args:
        n_fft: length in samples.
    """

    first: Tensor
    second: Tensor
    inverse_scale: Tensor

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        self.n_fft, self.num_bins = n_fft, n_fft // 2 + 1
        self.rows = max(size for size in range(1, math.isqrt(n_fft) + 1) if n_fft % size == 0)  # R
        self.columns = n_fft // self.rows  # Q
        self.steps = (n_fft // 2) // self.rows + 1  # bin r + R * s for s < steps: all bins up to n_fft / 2
        row, column = torch.arange(self.rows), torch.arange(self.columns)
        angle = _angle(row[:, None] * row, self.rows)  # [R out, R in]
        self.register_buffer("first", torch.cat([angle.cos(), -angle.sin()]).float())  # [2 * R, R]
        bins = row[:, None] + self.rows * torch.arange(self.steps)  # [R, steps]
        angle = _angle(bins[:, None, :] * column[None, :, None], n_fft)  # [R, Q, steps]
        cosine, sine = angle.cos(), angle.sin()
        of_real, of_imaginary = torch.stack([cosine, -sine], dim=-1), torch.stack([sine, cosine], dim=-1)
        self.register_buffer("second", torch.cat([of_real, of_imaginary], dim=1).flatten(2).float())  # [R, 2Q, 2 steps]
        scale = torch.full((self.num_bins, 1), 2.0)
        scale[0] = 1.0
        if n_fft % 2 == 0:
            scale[-1] = 1.0
        self.register_buffer("inverse_scale", scale / n_fft)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames [M, n_fft] to real and imaginary parts [M, F, 2]."""
        grid = frames.unflatten(-1, (self.rows, self.columns))
        turned = (self.first @ grid).unflatten(1, (2, self.rows))  # [M, 2, R, Q]
        turned = turned.permute(2, 0, 1, 3).flatten(2)  # [R, M, 2 * Q]
        bins = (turned @ self.second).unflatten(-1, (self.steps, 2))  # [R, M, steps, 2]
        return bins.permute(1, 2, 0, 3).flatten(1, 2)[:, : self.num_bins]

    def inverse(self, bins: Tensor) -> Tensor:
        """Real and imaginary parts [M, F, 2] to frames [M, n_fft]: the transpose of ``forward`` on scaled bins.

        As in ``torch.fft.irfft``, the imaginary parts at 0 Hz and at half the sample rate have no effect.
        """
        missing = self.rows * self.steps - self.num_bins
        padded = nn.functional.pad(bins * self.inverse_scale, (0, 0, 0, missing))
        grid = padded.unflatten(1, (self.steps, self.rows)).permute(2, 0, 1, 3).flatten(2)  # [R, M, 2 * steps]
        turned = (grid @ self.second.mT).unflatten(-1, (2, self.columns))  # [R, M, 2, Q]
        turned = turned.permute(1, 2, 0, 3).flatten(1, 2)  # [M, 2 * R, Q]
        return (self.first.mT @ turned).flatten(1)


class RealSpectrogram(nn.Module):
    """``Spectrogram`` and ``MirroredSpectrogram`` as real and imaginary parts, frame by frame.

    Args:
        spectrogram: the transform that it equals.
    """

    window: Tensor

    def __init__(self, spectrogram: Spectrogram) -> None:
        super().__init__()
        self.n_fft, self.hop = spectrogram.n_fft, spectrogram.hop
        self.is_mirrored = isinstance(spectrogram, MirroredSpectrogram)
        self.fourier = RealFourier(self.n_fft)
        self.register_buffer("window", spectrogram.window.clone())

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform [B, C, T] to [B, C, L, F, 2]."""
        batch, channels, length = waveform.shape
        half = self.n_fft // 2
        if self.is_mirrored:
            shortest = torch.clamp(torch.as_tensor(half + 1 - length), min=0)
            padded = nn.functional.pad(waveform, (0, shortest))  # type: ignore[arg-type]
            padded = nn.functional.pad(padded, (half, half), mode="reflect")
        else:
            padded = nn.functional.pad(waveform, (half, half + -length % self.hop))
        frames = cut_frames(padded, self.n_fft, self.hop) * self.window
        return self.fourier(frames.flatten(0, 2)).unflatten(0, (batch, channels, -1))

    def inverse(self, spectrogram: Tensor, length: Tensor | int) -> Tensor:
        """[B, S, C, L, F, 2] to waveform [B, S, C, T] of ``length`` samples."""
        batch, stems, channels, num_frames, _, _ = spectrogram.shape
        frames = self.fourier.inverse(spectrogram.flatten(0, 3)) * self.window
        total = add_frames(frames.unflatten(0, (batch * stems * channels, num_frames)), self.n_fft, self.hop)
        envelope = add_frames((self.window**2).expand(1, num_frames, -1), self.n_fft, self.hop)
        start = self.n_fft // 2
        waveforms = (total / envelope.clamp_min(ENVELOPE_FLOOR))[..., start : start + length]
        return waveforms.unflatten(0, (batch, stems, channels))


def cut_frames(signal: Tensor, size: int, hop: int) -> Tensor:
    """Cut [..., T] into the L = (T - size) // hop + 1 whole frames [..., L, size], one every hop."""
    blocks = -(-size // hop)  # hops in a frame, the last one perhaps in part
    num_frames = torch.div(signal.shape[-1] - size, hop, rounding_mode="floor") + 1
    padded = nn.functional.pad(signal, (0, blocks * hop))[..., : (num_frames + blocks - 1) * hop]
    by_hop = padded.unflatten(-1, (-1, hop))  # [..., L + blocks - 1, hop]
    frames = torch.cat([by_hop[..., i : i + num_frames, :] for i in range(blocks)], dim=-1)
    return frames[..., :size]


def add_frames(frames: Tensor, size: int, hop: int) -> Tensor:
    """Sum overlapping frames [M, L, size], one every hop, to [M, T]."""
    blocks = -(-size // hop)
    parts = nn.functional.pad(frames, (0, blocks * hop - size)).unflatten(-1, (blocks, hop))
    shifted = (nn.functional.pad(parts[..., i, :], (0, 0, i, blocks - 1 - i)) for i in range(blocks))
    return functools.reduce(torch.add, shifted).flatten(1)


def _angle(product: Tensor, period: int) -> Tensor:
    """2 pi product / period in float64; the product is reduced first, which keeps it exact."""
    return (product % period).double() * (2 * math.pi / period)
