"""The transforms in real arithmetic equal those of the networks, for every length of frame, hop and signal."""

import pytest
import torch

from models.bsrnn.spectrogram import Spectrogram
from models.export.fourier import RealFourier, RealSpectrogram, add_frames, cut_frames
from models.public.spectrogram import MirroredSpectrogram


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("n_fft", [16, 18, 22, 60, 1000, 2048, 4096])
def test_fourier_equals_torch(n_fft):
    fourier, frames = RealFourier(n_fft), noise(3, n_fft)
    bins = fourier(frames)
    expected = torch.fft.rfft(frames.double())
    assert bins.shape == (3, n_fft // 2 + 1, 2)
    torch.testing.assert_close(
        torch.view_as_complex(bins).to(torch.complex128), expected, rtol=0, atol=3e-6 * n_fft**0.5
    )
    masked = torch.view_as_complex(noise(3, n_fft // 2 + 1, 2))  # imaginary parts at 0 Hz and at the end as well
    frames = fourier.inverse(torch.view_as_real(masked))
    torch.testing.assert_close(frames, torch.fft.irfft(masked, n_fft), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [Spectrogram, MirroredSpectrogram])
@pytest.mark.parametrize(("n_fft", "hop"), [(64, 32), (64, 16), (60, 13), (2048, 441)])
@pytest.mark.parametrize("length", [1, 2, 33, 2000, 4410])
def test_spectrogram_equals_the_networks(kind, n_fft, hop, length):
    theirs, waveform = kind(n_fft, hop), noise(2, 2, length)
    ours, expected = RealSpectrogram(theirs), theirs(waveform)
    frames = ours(waveform)
    torch.testing.assert_close(torch.view_as_complex(frames.contiguous()).mT, expected, rtol=0, atol=1e-4)
    back = ours.inverse(frames[:, None] * 0.5, length)
    torch.testing.assert_close(back, 0.5 * theirs.inverse(expected, length)[:, None], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("size", "hop"), [(8, 4), (7, 3), (5, 5)])
def test_frames_are_cut_and_added(size, hop):
    signal = noise(2, 40)
    frames = cut_frames(signal, size, hop)
    assert torch.equal(frames, signal.unfold(-1, size, hop))
    expected = torch.zeros(2, 100)
    for index in range(frames.shape[1]):
        expected[:, index * hop : index * hop + size] += frames[:, index]
    added = add_frames(frames, size, hop)
    torch.testing.assert_close(added, expected[:, : added.shape[-1]])
    assert not expected[:, added.shape[-1] :].any()
