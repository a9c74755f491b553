"""The spectrogram's law: the round trip is exact for every length from one sample."""

import math

import pytest
import torch

from models.bsrnn.spectrogram import Spectrogram

GRIDS = [(16, 8), (18, 5), (62, 31), (256, 100), (2048, 512), (2048, 1024), (4096, 2048)]


@pytest.mark.parametrize(("n_fft", "hop"), GRIDS)
def test_round_trip(n_fft, hop):
    spectrogram = Spectrogram(n_fft, hop)
    for length in (1, 2, 3, hop - 1, hop, hop + 1, 2 * hop, n_fft - 1, n_fft + 1, 3 * n_fft + 7):
        waveform = torch.rand(2, length, generator=torch.Generator().manual_seed(length)) * 2 - 1
        restored = spectrogram.inverse(spectrogram(waveform), length)
        assert restored.shape == waveform.shape
        assert (restored - waveform).abs().max() < 1e-6


@pytest.mark.parametrize(("n_fft", "hop"), GRIDS)
def test_shape(n_fft, hop):
    spectrogram = Spectrogram(n_fft, hop)
    for length in (1, hop, hop + 1, 5 * hop):
        result = spectrogram(torch.zeros(length))
        assert result.dtype == torch.complex64
        assert result.shape == (n_fft // 2 + 1, math.ceil(length / hop) + 1)


def test_frames_are_centred_windowed_ffts():
    n_fft, hop = 32, 8
    waveform = torch.randn(50, generator=torch.Generator().manual_seed(0))
    padded = torch.cat([torch.zeros(n_fft // 2), waveform, torch.zeros(n_fft)])
    window = torch.hann_window(n_fft)
    frames = [torch.fft.rfft(window * padded[frame * hop :][:n_fft]) for frame in range(math.ceil(50 / hop) + 1)]
    torch.testing.assert_close(Spectrogram(n_fft, hop)(waveform), torch.stack(frames, dim=-1))


def test_leading_axes_are_kept():
    spectrogram = Spectrogram(32, 8)
    waveform = torch.randn(3, 2, 4, 45, generator=torch.Generator().manual_seed(0))
    result = spectrogram(waveform)
    assert result.shape[:-2] == (3, 2, 4)
    torch.testing.assert_close(result[2, 1, 3], spectrogram(waveform[2, 1, 3]))
    torch.testing.assert_close(spectrogram.inverse(result, 45), waveform)


def test_silence_is_exactly_silent():
    spectrogram = Spectrogram(64, 32)
    result = spectrogram(torch.zeros(2, 100))
    assert torch.equal(result, torch.zeros_like(result))
    assert torch.equal(spectrogram.inverse(result, 100), torch.zeros(2, 100))


def test_the_window_is_not_a_weight():
    assert not Spectrogram(64, 16).state_dict()
