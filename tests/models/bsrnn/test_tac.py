"""Transform-average-concatenate equals a plain loop, has no order of channels, and starts as the identity."""

import pytest
import torch
from torch import Tensor

from models.bsrnn.norm import NORMS
from models.bsrnn.tac import TransformAverageConcatenate

BANDS, BATCH, FRAMES, FEATURES = 5, 2, 7, 4


def make_block(norm: str = "rms") -> TransformAverageConcatenate:
    torch.manual_seed(0)
    block = TransformAverageConcatenate(FEATURES, norm)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(std=0.5)
    return block


def make_bands(channels: int) -> Tensor:
    return torch.randn(BANDS, BATCH * channels, FRAMES, FEATURES, generator=torch.Generator().manual_seed(channels))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_it_equals_a_plain_loop(norm, channels):
    block, bands = make_block(norm), make_bands(channels)
    expected = []
    for example in bands.split(channels, dim=1):
        transformed = [block.transform(block.norm(channel)) for channel in example.unbind(1)]
        average = block.average(sum(transformed) / channels)
        expected += [block.output(torch.cat([one, average], dim=-1)) for one in transformed]
    torch.testing.assert_close(block(bands, channels), bands + torch.stack(expected, dim=1), rtol=1e-4, atol=1e-5)


def test_channels_have_no_order():
    block, bands = make_block(), make_bands(3)
    order = [2, 0, 1, 5, 3, 4]
    torch.testing.assert_close(block(bands[:, order], 3), block(bands, 3)[:, order])


def test_examples_do_not_mix():
    block, bands = make_block(), make_bands(2)
    alone = torch.cat([block(example, 2) for example in bands.split(2, dim=1)], dim=1)
    torch.testing.assert_close(block(bands, 2), alone)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("channels", [1, 2])
def test_untrained_it_is_the_identity_and_learns_from_the_second_step_on(norm, channels):
    torch.manual_seed(0)
    block, bands = TransformAverageConcatenate(FEATURES, norm), make_bands(channels)
    assert torch.equal(block(bands, channels), bands)
    optimizer = torch.optim.SGD(block.parameters(), lr=0.1)
    for reached in (False, True):
        optimizer.zero_grad()
        block(bands, channels).square().mean().backward()
        for name, parameter in block.named_parameters():
            assert parameter.grad.any() == (reached or name.startswith("output")), name
        optimizer.step()


def test_low_precision():
    block, bands = make_block(), make_bands(2).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        result = block(bands, 2)
    result.sum().backward()
    assert result.shape == bands.shape and result.dtype == torch.float32
    assert bands.grad.isfinite().all()
    torch.testing.assert_close(result, block(bands, 2), rtol=0.05, atol=0.05)
