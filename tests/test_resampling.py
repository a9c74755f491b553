"""A stream resampled in blocks equals the signal resampled at once."""

import pytest
import torch
from torchaudio.functional import resample

from models.resampling import resample_blocks

RATES = [(48000, 44100), (44100, 48000), (8000, 44100), (44100, 8000), (96000, 44100), (44100, 22050), (22050, 44100)]


def noise(length: int) -> torch.Tensor:
    return torch.randn(2, length, generator=torch.Generator().manual_seed(length)) * 0.3


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@pytest.mark.parametrize(
    ("length", "block"), [(1, 1), (5, 2), (161, 160), (30_000, 1000), (30_011, 7777), (9000, 9000)]
)
def test_equals_one_shot(from_hz, to_hz, length, block):
    signal = noise(length)
    pieces = list(resample_blocks(signal.split(block, dim=-1), from_hz, to_hz))
    expected = resample(signal, from_hz, to_hz)
    out = torch.cat(pieces, dim=-1)
    assert out.shape == expected.shape
    assert (out - expected).abs().max() < 1e-6


def test_any_leading_axes_and_equal_rates():
    signal = noise(5000).reshape(1, 2, 5000).repeat(3, 1, 1)
    out = torch.cat(list(resample_blocks(signal.split(900, dim=-1), 48000, 44100)), dim=-1)
    torch.testing.assert_close(out, resample(signal, 48000, 44100), rtol=0, atol=1e-6)
    blocks = list(signal.split(900, dim=-1))
    assert list(resample_blocks(blocks, 44100, 44100)) == blocks
    assert list(resample_blocks([], 48000, 44100)) == []


def test_memory_is_bounded():
    received = emitted = 0

    def blocks():
        nonlocal received
        for _ in range(300):
            received += 160
            yield torch.zeros(1, 160)

    for piece in resample_blocks(blocks(), 48000, 44100):
        emitted += piece.shape[-1]
        assert received * 147 / 160 - emitted < 4 * 147


def test_awkward_rates_are_refused_before_they_fill_the_memory():
    with pytest.raises(ValueError, match="44099 and 44100 Hz, whose common divisor is only 1.*ffmpeg"):
        list(resample_blocks([torch.zeros(1, 10)], 44099, 44100))
