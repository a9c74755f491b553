"""Mask estimation equals a plain loop over bands and keeps the order of bands, bins, frames and channels."""

import itertools
from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from models.bsrnn.mask import MaskEstimator
from models.bsrnn.norm import EPSILON, NORMS

WIDTHS = (1, 2, 1, 1, 5, 6, 5, 5, 7)
NUM_BINS, FEATURES = sum(WIDTHS), 4


def make_masks(norm: str = "group", channels: int = 1) -> MaskEstimator:
    torch.manual_seed(0)
    masks = MaskEstimator(WIDTHS, channels, FEATURES, hidden=3 * FEATURES, norm=norm)
    with torch.no_grad():
        for parameter in masks.parameters():
            parameter.normal_()
    return masks


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def repeat_first_bin(masks: MaskEstimator) -> None:
    """Give every bin of a band the output weights of the band's first bin."""
    with torch.no_grad():
        for output, (_, width) in zip(masks.outputs, masks.groups.groups, strict=True):
            for parameter in output.parameters():
                bins = parameter.unflatten(-1, (2, width, masks.channels, 2))
                bins.copy_(bins[..., :1, :, :].clone().expand_as(bins))


def band_by_band(masks: MaskEstimator, bands: Tensor, norm: str) -> Tensor:
    """The definition, one band and one channel after the other; [B, C, F, L]."""
    groups = {width: index for index, (_, width) in enumerate(masks.groups.groups)}
    seen: Counter[int] = Counter()
    results = []
    for band, width in enumerate(WIDTHS):
        group, index = groups[width], seen[width]
        seen[width] += 1
        weight = masks.norm.weight[band].flatten()
        if norm == "group":
            bias = masks.norm.bias[band].flatten()
            inputs = nn.functional.group_norm(bands[band].mT, 1, weight, bias, EPSILON).mT
        else:
            inputs = nn.functional.rms_norm(bands[band], weight.shape, weight, EPSILON)
        hidden = torch.tanh(inputs @ masks.hidden.weight[band] + masks.hidden.bias[band])
        values = hidden @ masks.outputs[group].weight[index] + masks.outputs[group].bias[index]
        half = values.shape[-1] // 2
        gated = values[..., :half] * torch.sigmoid(values[..., half:])
        channels = [
            torch.complex(
                gated[..., 2 * channel :: 2 * masks.channels], gated[..., 2 * channel + 1 :: 2 * masks.channels]
            )
            for channel in range(masks.channels)
        ]  # each [B, L, w]
        results.append(torch.stack(channels, dim=1).mT)
    return torch.cat(results, dim=2)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("norm", NORMS)
def test_equals_a_loop_over_bands(norm, channels):
    masks = make_masks(norm, channels)
    for num_frames in (1, 6):
        bands = noise(len(WIDTHS), 3, num_frames, FEATURES)
        expected = band_by_band(masks, bands, norm)
        assert expected.shape == (3, channels, NUM_BINS, num_frames)
        torch.testing.assert_close(masks(bands), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("norm", NORMS)
def test_features_that_know_only_the_band_give_a_mask_constant_over_frames(norm):
    masks = make_masks(norm, channels=2)
    bands = noise(len(WIDTHS), 3, 1, FEATURES).expand(-1, -1, 6, -1)
    mask = masks(bands)
    torch.testing.assert_close(mask, mask[..., :1].expand_as(mask))
    assert mask[..., 0].std(dim=-1).abs().min() > 0.1  # but not over bins


@pytest.mark.parametrize("norm", NORMS)
def test_bins_of_equal_weights_give_a_mask_constant_within_each_band(norm):
    masks = make_masks(norm, channels=2)
    repeat_first_bin(masks)
    mask = masks(noise(len(WIDTHS), 3, 6, FEATURES))
    bands = mask.split(list(WIDTHS), dim=2)
    for band in bands:
        torch.testing.assert_close(band, band[:, :, :1].expand_as(band))
        assert band.std(dim=-1).min() > 1e-3  # but not over frames
    for one, other in itertools.combinations(bands, 2):
        assert (one[:, :, 0] - other[:, :, 0]).abs().max() > 1e-3  # nor over bands


def test_features_that_know_only_the_frame_give_a_mask_constant_over_all_bins():
    masks = make_masks("rms")
    repeat_first_bin(masks)
    with torch.no_grad():
        for parameter in (masks.norm.weight, masks.hidden.weight, masks.hidden.bias):
            parameter.copy_(parameter[:1].clone().expand_as(parameter))
        first = masks.outputs[0]
        for output, (_, width) in zip(masks.outputs, masks.groups.groups, strict=True):
            for own, source in zip(output.parameters(), first.parameters(), strict=True):
                template = source[:1].clone().unflatten(-1, (2, 1, 1, 2))
                own.unflatten(-1, (2, width, 1, 2)).copy_(template.expand(len(own), -1, 2, width, 1, 2))
    mask = masks(noise(1, 3, 6, FEATURES).expand(len(WIDTHS), -1, -1, -1))
    torch.testing.assert_close(mask, mask[:, :, :1].expand_as(mask))
    assert mask[:, :, 0].std(dim=-1).min() > 1e-3


def test_each_band_of_the_mask_comes_from_its_own_features():
    masks, bands = make_masks(), noise(len(WIDTHS), 1, 3, FEATURES)
    changed = bands.clone()
    changed[4] += noise(1, 3, FEATURES)
    moved = (masks(changed) - masks(bands)).abs().amax(dim=(0, 1, 3)) > 1e-6
    assert moved.nonzero().flatten().tolist() == [5, 6, 7, 8, 9]


def test_the_hidden_layer_is_in_multiples_of_the_features():
    masks = make_masks()
    assert masks.hidden.weight.shape == (len(WIDTHS), FEATURES, 3 * FEATURES)
    assert sum(output.weight.numel() for output in masks.outputs) == 3 * FEATURES * 4 * NUM_BINS
