"""Laws of overlap-add: an identity function gives the input, with bounded memory and without padding."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from models.signal.chunking import SeparateConfig, batch_chunks, cut_chunks, overlap_add, triangle_window


def noise(length: int, channels: int = 2) -> Tensor:
    return torch.randn(channels, length, generator=torch.Generator().manual_seed(length))


def run(process, signal: Tensor, window: int, hop: int, batch: int = 3, block: int = 50) -> Tensor:
    return torch.cat(list(overlap_add(process, signal.split(block, dim=-1), window, hop, batch)), dim=-1)


@pytest.mark.parametrize("window", [1, 2, 3, 16, 63, 64])
@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99])
@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 63, 64, 65, 128, 400])
def test_chunked_identity_is_the_identity(window, overlap, length):
    signal = noise(length)
    hop = max(1, round(window * (1 - overlap)))
    out = run(lambda chunks: chunks, signal, window, hop)
    torch.testing.assert_close(out, signal, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("block", "batch"), [(1, 1), (7, 2), (64, 5), (1000, 100)])
def test_blocks_and_batches_do_not_matter(block, batch):
    signal = noise(777)
    expected = run(lambda chunks: chunks.tanh(), signal, 64, 24, batch=1, block=777)
    out = run(lambda chunks: chunks.tanh(), signal, 64, 24, batch, block)
    assert torch.equal(out, expected)


def test_paper_windows_at_full_rate():
    """3 s windows: the cases where plain overlap-add caps the SDR at 21 dB (hop 0.5 s) and 9.8 dB (hop 2.5 s)."""
    signal = noise(10 * 44100)
    for hop_s in (0.5, 1.5, 2.5, 3.0):
        out = run(lambda chunks: chunks, signal, 3 * 44100, round(hop_s * 44100), block=44100)
        assert (out - signal).abs().max() < 1e-6


def test_results_may_have_other_leading_axes():
    signal = noise(100)
    out = run(lambda chunks: torch.stack([chunks, 2 * chunks, -chunks], dim=1), signal, 32, 16)
    torch.testing.assert_close(out, torch.stack([signal, 2 * signal, -signal]))


def test_joins_are_linear_cross_fades():
    levels = itertools.count(1)

    def constant(chunks: Tensor) -> Tensor:
        return torch.stack([torch.full_like(chunk, next(levels)) for chunk in chunks])

    out = run(constant, noise(26, channels=1), window=16, hop=10, batch=1)[0]
    assert out[:10].eq(1).all() and out[16:].eq(2).all()
    torch.testing.assert_close(out[10:16], 1 + torch.arange(1, 7) / 7)


def test_nothing_is_padded():
    """A short signal and the tail cost only their own length."""
    lengths: list[int] = []

    def record(chunks: Tensor) -> Tensor:
        lengths.extend([chunks.shape[-1]] * len(chunks))
        return chunks

    run(record, noise(10), window=100, hop=50)
    assert lengths == [10]
    lengths.clear()
    run(record, noise(220), window=100, hop=50)
    assert lengths == [100, 100, 100, 70]
    lengths.clear()
    run(record, noise(200), window=100, hop=50)  # the third chunk ends with the signal
    assert lengths == [100, 100, 100]


def test_memory_is_bounded():
    """Results are at most one batch behind the input."""
    received = emitted = 0

    def blocks():
        nonlocal received
        for _ in range(500):
            received += 40
            assert received - emitted <= 40 + 100 + 4 * 50
            yield torch.zeros(1, 40)

    for piece in overlap_add(lambda chunks: chunks, blocks(), window=100, hop=50, batch=3):
        emitted += piece.shape[-1]
    assert emitted == received == 500 * 40


def test_no_blocks_make_no_output():
    assert list(overlap_add(lambda chunks: chunks, [], 8, 4, 2)) == []
    assert list(overlap_add(lambda chunks: chunks, [torch.zeros(2, 0)], 8, 4, 2)) == []


def test_a_process_that_works_in_place_does_not_change_other_chunks():
    signal = noise(200)
    before = signal.clone()
    out = run(lambda chunks: chunks.mul_(2), signal, 64, 16)
    torch.testing.assert_close(out, 2 * before)
    assert torch.equal(signal, before)


def test_chunks_of_equal_length_share_a_batch():
    chunks = list(cut_chunks(noise(230).split(100, dim=-1), window=100, hop=50))
    assert [batch.shape for batch in batch_chunks(chunks, 2)] == [(2, 2, 100), (1, 2, 100), (1, 2, 80)]


@pytest.mark.parametrize("size", [1, 2, 3, 10, 11])
def test_window_is_positive_and_symmetric(size):
    weights = triangle_window(size)
    assert weights.shape == (size,) and weights.min() > 0 and weights.max() == 1
    assert torch.equal(weights, weights.flip(0))


def test_config_in_samples():
    config = SeparateConfig(segment_s=3, overlap=0.5, batch=4)
    assert (config.window_size(44100), config.hop_size(44100)) == (132300, 66150)
    assert SeparateConfig(1e-9, 0.999, 1).hop_size(44100) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0.0, 0.5, 1), "separate.segment_s .* got 0.0"),
        ((float("nan"), 0.5, 1), "separate.segment_s .* got nan"),
        ((3.0, 1.0, 1), "separate.overlap .* got 1.0"),
        ((3.0, -0.1, 1), "separate.overlap .* got -0.1"),
        ((3.0, float("nan"), 1), "separate.overlap .* got nan"),
        ((3.0, 0.5, 0), "separate.batch .* got 0"),
        ((3.0, 0.5, 1.5), "separate.batch .* got 1.5"),
        ((3.0, 0.5, 1, 0), "separate.shifts .* got 0"),
        ((3.0, 0.5, 1, 1.5), "separate.shifts .* got 1.5"),
    ],
)
def test_config_names_the_flag(values, message):
    with pytest.raises(ValueError, match=message):
        SeparateConfig(*values)


@pytest.mark.parametrize(("window", "hop", "batch"), [(64, 48, 1), (63, 20, 3), (500, 500, 2)])
def test_arrays_give_what_tensors_give(window, hop, batch):
    signal = noise(777)
    expected = run(lambda chunks: chunks * 2, signal, window, hop, batch)
    arrays = [block.numpy() for block in signal.split(50, dim=-1)]
    pieces = list(overlap_add(lambda chunks: chunks * 2, arrays, window, hop, batch))
    assert all(isinstance(piece, np.ndarray) and piece.dtype == np.float32 for piece in pieces)
    assert np.array_equal(np.concatenate(pieces, axis=-1), expected.numpy())
