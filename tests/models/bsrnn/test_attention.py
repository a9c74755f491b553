"""Attention over frames equals plain loops, shares its map among the bands, and starts as the identity."""

import pytest
import torch
from torch import Tensor

from models.bsrnn.attention import QUERY_FEATURES, FrameAttention
from models.bsrnn.norm import NORMS

BANDS, BATCH, FRAMES, FEATURES, HEADS = 5, 2, 7, 6, 2


def make_attention(norm: str = "rms") -> FrameAttention:
    torch.manual_seed(0)
    attention = FrameAttention(FEATURES, HEADS, norm)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_(std=0.5)
    return attention


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("norm", NORMS)
@torch.no_grad()
def test_batching_equals_loops(norm):
    attention, bands = make_attention(norm), noise(BANDS, BATCH, FRAMES, FEATURES)
    expected = bands.clone()
    for example in range(BATCH):
        normed = torch.stack([attention.norm(band[example]) for band in bands])  # [K, L, N]
        attended = torch.zeros(BANDS, FRAMES, FEATURES)
        for head in range(HEADS):
            queries = attention.queries(normed).chunk(HEADS, dim=-1)[head]
            keys = attention.keys(normed).chunk(HEADS, dim=-1)[head]
            scores = sum(query @ key.T for query, key in zip(queries, keys, strict=True))
            weights = (scores / (BANDS * QUERY_FEATURES) ** 0.5).softmax(dim=-1)
            for band in range(BANDS):
                values = attention.values(normed[band]).chunk(HEADS, dim=-1)[head]
                attended[band].chunk(HEADS, dim=-1)[head].copy_(weights @ values)
        expected[:, example] += attention.output(attended)
    torch.testing.assert_close(attention(bands), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_untrained_it_is_the_identity_and_learns_from_the_second_step_on(norm):
    torch.manual_seed(0)
    attention, bands = FrameAttention(FEATURES, HEADS, norm), noise(BANDS, BATCH, FRAMES, FEATURES)
    assert torch.equal(attention(bands), bands)
    optimizer = torch.optim.SGD(attention.parameters(), lr=0.1)
    for reached in (False, True):
        optimizer.zero_grad()
        attention(bands).square().mean().backward()
        for name, parameter in attention.named_parameters():
            assert parameter.grad.any() == (reached or name.startswith("output")), name
        optimizer.step()


def test_frames_are_a_set():
    """Attention is independent of the order of frames; only the features, from the BLSTMs, hold positions."""
    attention, bands = make_attention(), noise(BANDS, BATCH, FRAMES, FEATURES)
    order = [6, 2, 0, 5, 1, 3, 4]
    torch.testing.assert_close(attention(bands[:, :, order]), attention(bands)[:, :, order])


def test_every_band_affects_the_map_of_all_bands():
    attention, bands = make_attention(), noise(BANDS, 1, FRAMES, FEATURES).requires_grad_()
    attention(bands)[0, 0, 0].sum().backward()
    assert (bands.grad.abs().sum(dim=-1) > 0).all()


def test_examples_do_not_mix():
    attention, bands = make_attention(), noise(BANDS, BATCH, FRAMES, FEATURES)
    alone = torch.cat([attention(bands[:, index : index + 1]) for index in range(BATCH)], dim=1)
    torch.testing.assert_close(attention(bands), alone)


@pytest.mark.parametrize("frames", [1, 2, 50])
def test_any_number_of_frames_in_low_precision(frames):
    attention, bands = make_attention(), noise(BANDS, BATCH, frames, FEATURES).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        result = attention(bands)
    result.sum().backward()
    assert result.shape == bands.shape and result.dtype == torch.float32
    assert bands.grad.isfinite().all()
    torch.testing.assert_close(result, attention(bands), rtol=0.05, atol=0.05)
