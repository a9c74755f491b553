"""Spatial cues give a bin's position between the channels at any level; untrained, they have no effect."""

import pytest
import torch

from models.bsrnn.spatial import SpatialSplit, spatial_cues

WIDTHS = (1, 2, 1, 5, 6, 5)
NUM_BINS = sum(WIDTHS)


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (1.0, 1.0, (0, 1, 0)),  # centre
        (1.0, 0.0, (1, 0, 0)),  # left alone
        (0.0, 1.0, (-1, 0, 0)),
        (1.0, -1.0, (0, -1, 0)),  # out of phase
        (1.0, -1.0j, (0, 0, 1)),  # the right channel is a quarter of a period late
        (0.0, 0.0, (0, 0, 0)),  # silence
        (3.0, 1.0, (0.8, 0.6, 0)),
    ],
)
@pytest.mark.parametrize("level", [100.0, 1e4])
def test_the_cues_of_a_panned_source(left, right, expected, level):
    source = level * noise(1, 1, 4, 3)
    cues = spatial_cues(torch.cat([left * source, right * source], dim=1), channels=1)
    assert cues.shape == (1, 1, 3, 4, 3)
    for cue, value in zip(cues[0, 0], expected, strict=True):
        torch.testing.assert_close(cue, torch.full_like(cue, value), rtol=0, atol=1e-5)


def test_channels_have_cues_of_their_own_and_mono_lies_in_the_centre():
    stereo = noise(2, 2, 4, 3)
    left, right = spatial_cues(stereo, 2).unbind(1)
    swapped = spatial_cues(stereo.flip(1), 2)
    torch.testing.assert_close(swapped, torch.stack([right, left], dim=1))
    torch.testing.assert_close(left * torch.tensor([-1.0, 1.0, -1.0])[:, None, None], right)
    mono = spatial_cues(stereo[:, :1], 1)
    torch.testing.assert_close(mono, spatial_cues(stereo[:, :1].expand(-1, 2, -1, -1), 1))
    assert spatial_cues(noise(1, 3, 4, 3), 3).abs().max() <= 1 + 1e-5


def test_it_equals_a_loop_over_bands_and_starts_at_zero():
    split, spectrogram = SpatialSplit(WIDTHS, 4), noise(2, 2, NUM_BINS, 7)
    assert torch.equal(split(spectrogram, 2), torch.zeros(len(WIDTHS), 4, 7, 4))
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in split.parameters():
            parameter.normal_()
    cues = spatial_cues(spectrogram, 2).flatten(0, 1)  # [B', 3, F, L]
    places = {1: iter((0, 1)), 2: iter((0,)), 5: iter((0, 1)), 6: iter((0,))}
    linears = {width: split.linears[index] for index, (_, width) in enumerate(split.groups.groups)}
    expected = []
    for part in cues.split(WIDTHS, dim=2):
        width, place = part.shape[2], next(places[part.shape[2]])
        inputs = part.permute(0, 3, 1, 2).flatten(2)  # [B', L, 3 * w], a cue's bins side by side
        expected.append(inputs @ linears[width].weight[place] + linears[width].bias[place])
    torch.testing.assert_close(split(spectrogram, 2), torch.stack(expected), rtol=1e-4, atol=1e-5)
