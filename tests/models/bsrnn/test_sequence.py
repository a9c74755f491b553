"""The band-and-sequence module equals plain loops: over bands for time, over frames for bands."""

import pytest
import torch
from torch import Tensor

from models.bsrnn import sequence
from models.bsrnn.norm import NORMS
from models.bsrnn.sequence import BandSequenceModule, ResidualBLSTM

BANDS, BATCH, FRAMES, FEATURES = 5, 2, 7, 4


def make_module(norm: str = "group") -> BandSequenceModule:
    torch.manual_seed(0)
    module = BandSequenceModule(FEATURES, hidden=3, norm=norm)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("norm", NORMS)
def test_batching_equals_loops(norm):
    module, bands = make_module(norm), noise(BANDS, BATCH, FRAMES, FEATURES)
    expected = torch.stack([module.over_time(band) for band in bands])
    for frame in range(FRAMES):
        expected[:, :, frame] = module.over_bands(expected[:, :, frame].transpose(0, 1)).transpose(0, 1)
    torch.testing.assert_close(module(bands), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_residual_blstm_is_norm_blstm_linear_and_input(norm):
    layer, sequences = make_module(norm).over_time, noise(3, FRAMES, FEATURES)
    for index in range(3):
        normed = layer.norm(sequences[index])
        expected = sequences[index] + layer.linear(layer.blstm(normed)[0])
        torch.testing.assert_close(layer(sequences)[index], expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        layer.linear.weight.zero_()
        layer.linear.bias.zero_()
    assert torch.equal(layer(sequences), sequences)


def test_bands_share_the_time_blstm():
    module = make_module()
    module.over_bands = torch.nn.Identity()
    bands = noise(BANDS, BATCH, FRAMES, FEATURES)
    order = [3, 0, 4, 1, 2]
    torch.testing.assert_close(module(bands[order]), module(bands)[order])


def test_frames_share_the_band_blstm():
    module = make_module()
    module.over_time.linear.weight.data.zero_()  # adds nothing, so that only the BLSTM over bands is left
    module.over_time.linear.bias.data.zero_()
    bands = noise(BANDS, BATCH, FRAMES, FEATURES)
    order = [6, 2, 0, 5, 1, 3, 4]
    torch.testing.assert_close(module(bands[:, :, order]), module(bands)[:, :, order])
    assert not torch.allclose(module(bands.flip(0)), module(bands).flip(0))  # the order of bands matters


def test_examples_do_not_mix():
    module, bands = make_module(), noise(BANDS, BATCH, FRAMES, FEATURES)
    alone = torch.cat([module(bands[:, index : index + 1]) for index in range(BATCH)], dim=1)
    torch.testing.assert_close(module(bands), alone)


def test_time_reaches_both_ways():
    layer = make_module("rms").over_time
    sequences = noise(1, FRAMES, FEATURES).requires_grad_()
    layer(sequences)[0, 3].sum().backward()
    assert (sequences.grad[0].abs().sum(dim=-1) > 0).all()


@pytest.mark.parametrize(("limit", "calls"), [(3, [3, 3, 3, 1]), (5, [5, 5]), (10, [10]), (65535, [10])])
def test_too_many_sequences_are_cut(monkeypatch, limit, calls):
    layer, sequences = make_module().over_time, noise(10, FRAMES, FEATURES)
    expected = torch.cat([layer(one) for one in sequences.split(1)])
    sizes: list[int] = []
    layer.blstm.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[1]))
    monkeypatch.setattr(sequence, "MAX_SEQUENCES", limit)
    torch.testing.assert_close(layer(sequences), expected)
    assert sizes == calls


def test_the_limit_is_cudnns():
    assert sequence.MAX_SEQUENCES == 65535


def test_hidden_units_are_those_of_one_direction():
    layer = ResidualBLSTM(features=4, hidden=3, norm="group")
    assert layer.blstm.hidden_size == 3 and layer.blstm.bidirectional
    assert layer.linear.weight.shape == (4, 6)
