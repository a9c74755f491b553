"""A stream resampled in blocks equals the signal resampled at once; resampling there and back keeps the signal."""

import sys

import numpy as np
import pytest
import torch
import torchaudio
from torch import Tensor

from models.signal.resampling import resample_blocks

USUAL = [(48000, 44100), (44100, 48000), (8000, 44100), (44100, 8000), (96000, 44100), (44100, 22050), (384000, 44100)]
UNUSUAL = [(44099, 44100), (44100, 44099), (44101, 44100), (4001, 44100), (44100, 383_999)]


def noise(length: int) -> Tensor:
    return torch.randn(2, length, generator=torch.Generator().manual_seed(length)) * 0.3


def noise_below(edge_hz: float, rate: int, length: int) -> Tensor:
    spectrum = torch.fft.rfft(noise(length))
    spectrum[:, torch.fft.rfftfreq(length, 1 / rate) > edge_hz] = 0
    return torch.fft.irfft(spectrum, length)


def resample(signal: Tensor, from_hz: int, to_hz: int, block: int) -> Tensor:
    return torch.cat(list(resample_blocks(signal.split(block, dim=-1), from_hz, to_hz)), dim=-1)


@pytest.mark.parametrize(("from_hz", "to_hz"), USUAL + UNUSUAL)
@pytest.mark.parametrize(("length", "block"), [(1, 1), (5, 2), (161, 160), (3000, 100), (3011, 777)])
def test_blocks_equal_the_whole(from_hz, to_hz, length, block):
    signal = noise(length)
    out = resample(signal, from_hz, to_hz, block)
    assert out.shape == (2, -(-length * to_hz // from_hz))
    # Sums of another length are summed in another order on some processors: 1.3e-6 on an AVX2 machine.
    assert (out - resample(signal, from_hz, to_hz, length)).abs().max() < 4e-6


@pytest.mark.parametrize("rate", [48000, 44099, 44101, 96000, 192_000, 384_000])
@pytest.mark.parametrize(("edge_hz", "wanted_db"), [(18000, 90), (20000, 90)])
def test_there_and_back(rate, edge_hz, wanted_db):
    signal = noise_below(edge_hz, rate, rate)
    there = resample(signal, rate, 44100, rate // 3)
    back = resample(there, 44100, rate, 10_000)[:, :rate]
    inner = slice(rate // 10, -rate // 10)  # the cut ends of a signal have other frequencies
    error = (back - signal)[:, inner]
    assert 10 * torch.log10(signal[:, inner].square().sum() / error.square().sum()) > wanted_db


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48000, 44100), (96000, 44100), (44100, 22050)])
def test_frequencies_above_half_the_new_rate_are_removed(from_hz, to_hz):
    time_s = torch.arange(from_hz, dtype=torch.float64) / from_hz
    tone = torch.sin(2 * torch.pi * 0.54 * to_hz * time_s).float()[None]
    left = resample(tone, from_hz, to_hz, from_hz)[:, to_hz // 10 : -to_hz // 10]
    assert 10 * torch.log10(left.square().mean() / tone.square().mean()) < -90


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48000, 44100), (44099, 44100)])
def test_a_pulse_stays_where_it_is(from_hz, to_hz):
    signal = torch.zeros(1, from_hz)
    signal[0, from_hz // 2] = 1
    out = resample(signal, from_hz, to_hz, 5000)
    assert int(out.abs().argmax()) == round(from_hz // 2 * to_hz / from_hz)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48000, 44100), (44099, 44100)])
def test_any_leading_axes(from_hz, to_hz):
    signal = noise(5000).reshape(1, 2, 5000).repeat(3, 1, 1)
    out = resample(signal, from_hz, to_hz, 900)
    torch.testing.assert_close(out[2], resample(signal[0], from_hz, to_hz, 900), rtol=0, atol=1e-7)


def test_equal_rates_and_no_blocks():
    blocks = list(noise(5000).split(900, dim=-1))
    assert list(resample_blocks(blocks, 44100, 44100)) == blocks
    assert list(resample_blocks([], 48000, 44100)) == list(resample_blocks([], 44099, 44100)) == []


@pytest.mark.parametrize(("from_hz", "to_hz", "lag"), [(48000, 44100, 1000), (44099, 44100, 20_000)])
def test_memory_is_bounded(from_hz, to_hz, lag):
    received = emitted = 0

    def blocks():
        nonlocal received
        for _ in range(600):
            received += 160
            yield torch.zeros(1, 160)

    for piece in resample_blocks(blocks(), from_hz, to_hz):
        emitted += piece.shape[-1]
        assert received * to_hz / from_hz - emitted < lag


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48000, 44100), (44100, 22050), (44100, 8000), (22050, 44100)])
def test_the_filter_is_torchaudio_s(from_hz, to_hz):
    signal = noise(20_011)
    expected = torchaudio.functional.resample(
        signal, from_hz, to_hz, 64, 0.955, resampling_method="sinc_interp_kaiser", beta=10.0
    )
    torch.testing.assert_close(resample(signal, from_hz, to_hz, 3000), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48000, 44100), (44099, 44100)])
def test_arrays_give_what_tensors_give(from_hz, to_hz):
    signal = noise(5000)
    pieces = list(resample_blocks([block.numpy() for block in signal.split(900, dim=-1)], from_hz, to_hz))
    assert all(isinstance(piece, np.ndarray) and piece.dtype == np.float32 for piece in pieces)
    assert np.array_equal(np.concatenate(pieces, axis=-1), resample(signal, from_hz, to_hz, 900).numpy())


def test_without_soxr_uncommon_ratios_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)
    assert resample(noise(500), 48000, 44100, 500).shape == (2, 460)
    with pytest.raises(ValueError, match="resampling 44099 Hz to 44100 Hz needs the package soxr: pip install soxr"):
        resample(noise(500), 44099, 44100, 500)
