"""The band split equals a plain loop over bands; its level inputs hold the level that the norm removes."""

import itertools
from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from models.bsrnn.norm import NORMS
from models.bsrnn.split import EPSILON, MAGNITUDE_POWER, POWER_FLOOR, BandSplit

WIDTHS = (1, 2, 1, 1, 5, 6, 5, 5, 7)
NUM_BINS = sum(WIDTHS)


def make_split(norm: str = "group", channels: int = 1, level_inputs: bool = False) -> BandSplit:
    torch.manual_seed(0)
    split = BandSplit(WIDTHS, channels, features=4, norm=norm, level_inputs=level_inputs)
    with torch.no_grad():
        for parameter in split.parameters():
            parameter.normal_()
    return split


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


def band_by_band(split: BandSplit, spectrogram: Tensor, norm: str) -> Tensor:
    """The definition: cut, norm, levels, fully connected layer, one band after the other; [K, B, L, N]."""
    groups = {width: index for index, (_, width) in enumerate(split.groups.groups)}
    seen: Counter[int] = Counter()
    frame_power = spectrogram.abs().square().sum(dim=(1, 2))[..., None]  # [B, L, 1]
    results = []
    for start, width in zip(itertools.accumulate((0, *WIDTHS)), WIDTHS, strict=False):
        group, index = groups[width], seen[width]
        seen[width] += 1
        band = spectrogram[:, :, start : start + width]  # [B, C, w, L]
        features = torch.cat([part for channel in band.unbind(1) for part in (channel.real, channel.imag)], dim=1).mT
        weight = split.norms[group].weight[index].flatten()
        if norm == "group":
            bias = split.norms[group].bias[index].flatten()
            inputs = nn.functional.group_norm(features.mT, 1, weight, bias, EPSILON).mT
        else:
            inputs = nn.functional.rms_norm(features, weight.shape, weight, EPSILON)
        if split.level_inputs:
            power = band.abs().square()
            magnitude = (power + POWER_FLOOR).sqrt() ** MAGNITUDE_POWER
            level = torch.log10(power.mean(dim=2) + POWER_FLOOR).mT
            relative = torch.log10((power.sum(dim=(1, 2))[..., None] + POWER_FLOOR) / (frame_power + POWER_FLOOR))
            inputs = torch.cat([inputs, magnitude.flatten(1, 2).mT, level, relative], dim=-1)
        linear = split.linears[group]
        results.append(nn.functional.linear(inputs, linear.weight[index].T, linear.bias[index, 0]))
    return torch.stack(results)


@pytest.mark.parametrize("level_inputs", [False, True])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("norm", NORMS)
def test_equals_a_loop_over_bands(norm, channels, level_inputs):
    split = make_split(norm, channels, level_inputs)
    for num_frames in (1, 5):
        spectrogram = noise(3, channels, NUM_BINS, num_frames)
        expected = band_by_band(split, spectrogram, norm)
        assert expected.shape == (len(WIDTHS), 3, num_frames, 4)
        torch.testing.assert_close(split(spectrogram), expected, rtol=1e-4, atol=1e-4)


def test_each_band_sees_its_own_bins_only():
    split = make_split()
    spectrogram = noise(1, 1, NUM_BINS, 3)
    changed = spectrogram.clone()
    changed[:, :, 5:10] += 1  # the fifth band
    moved = (split(changed) - split(spectrogram)).abs().amax(dim=(1, 2, 3)) > 1e-6
    assert moved.tolist() == [width == 5 and band == 4 for band, width in enumerate(WIDTHS)]


@pytest.mark.parametrize("norm", NORMS)
def test_only_level_inputs_tell_loud_from_soft(norm):
    spectrogram = 100 * noise(1, 1, NUM_BINS, 3)
    plain, levels = make_split(norm), make_split(norm, level_inputs=True)
    torch.testing.assert_close(plain(10 * spectrogram), plain(spectrogram), rtol=1e-3, atol=1e-3)
    assert (levels(10 * spectrogram) - levels(spectrogram)).abs().amax(dim=(1, 2, 3)).min() > 0.1


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e6])
def test_level_inputs_are_finite_at_every_level(norm, scale):
    split = make_split(norm, channels=2, level_inputs=True)
    spectrogram = (scale * noise(2, 2, NUM_BINS, 4)).requires_grad_()
    result = split(spectrogram)
    result.sum().backward()
    assert result.isfinite().all()
    assert spectrogram.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in split.parameters())


def test_level_inputs_add_their_weights_only():
    """3 w + 1 features a channel and one for all, instead of 2 w a channel."""
    for channels in (1, 2):
        plain, levels = make_split(channels=channels), make_split(channels=channels, level_inputs=True)
        sizes = [sum(parameter.numel() for parameter in split.parameters()) for split in (plain, levels)]
        assert sizes[1] - sizes[0] == 4 * (channels * NUM_BINS + (channels + 1) * len(WIDTHS))
