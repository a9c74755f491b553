"""The two normalisations: equal to plain formulas, for sequences of any length."""

import pytest
import torch
from torch import nn

from models.bsrnn.norm import EPSILON, NORMS, SequenceNorm


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def randomised(norm: SequenceNorm) -> SequenceNorm:
    with torch.no_grad():
        for seed, parameter in enumerate(norm.parameters()):
            parameter.normal_(generator=torch.Generator().manual_seed(seed))
    return norm


@pytest.mark.parametrize("length", [1, 2, 7])
def test_group_is_group_norm_with_one_group(length):
    norm = randomised(SequenceNorm("group", 5))
    reference = nn.GroupNorm(1, 5, eps=EPSILON)
    with torch.no_grad():
        reference.weight.copy_(norm.weight.squeeze())
        reference.bias.copy_(norm.bias.squeeze())
    sequence = 3 + 2 * noise(4, length, 5)
    torch.testing.assert_close(norm(sequence), reference(sequence.mT).mT)


@pytest.mark.parametrize("length", [1, 2, 7])
def test_rms_divides_each_position_by_its_own_level(length):
    norm = randomised(SequenceNorm("rms", 5))
    sequence = 3 + 2 * noise(4, length, 5)
    reference = nn.functional.rms_norm(sequence, (5,), norm.weight.squeeze(), EPSILON)
    torch.testing.assert_close(norm(sequence), reference)
    torch.testing.assert_close(norm(sequence)[:, -1:], norm(sequence[:, -1:]))
    assert set(dict(norm.named_parameters())) == {"weight"}


@pytest.mark.parametrize("kind", NORMS)
def test_each_band_has_its_own_scale(kind):
    norm = randomised(SequenceNorm(kind, 3, 1, 5))
    bands = noise(3, 2, 7, 5)
    for band in range(3):
        alone = SequenceNorm(kind, 5)
        with torch.no_grad():
            for own, all_bands in zip(alone.parameters(), norm.parameters(), strict=True):
                own.copy_(all_bands[band, 0])
        torch.testing.assert_close(norm(bands)[band], alone(bands[band]))


@pytest.mark.parametrize("kind", NORMS)
def test_fresh_norms_give_unit_power_whatever_the_gain(kind):
    norm = SequenceNorm(kind, 6)
    sequence = noise(4, 9, 6)
    if kind == "rms":
        torch.testing.assert_close(norm(sequence).square().mean(-1), torch.ones(4, 9), rtol=0, atol=1e-3)
    else:
        torch.testing.assert_close(norm(sequence).square().mean((-2, -1)), torch.ones(4), rtol=0, atol=1e-4)
    torch.testing.assert_close(norm(1000 * sequence), norm(100 * sequence), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", NORMS)
def test_silence_stays_finite(kind):
    silence = torch.zeros(2, 4, 5, requires_grad=True)
    result = SequenceNorm(kind, 5)(silence)
    assert torch.equal(result, torch.zeros(2, 4, 5))
    result.square().sum().backward()
    assert silence.grad.isfinite().all()
