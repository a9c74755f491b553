"""Multiplications: the count equals a calculation by hand, for every architecture."""

import dataclasses
import math

import pytest
import torch
from torch import nn

from conftest import TINY
from models.bsrnn import Estimate
from models.macs import count_macs, count_parameters, gmacs_per_second, step_gflops
from models.presets.preset import Preset, load_preset
from models.presets.settings import override
from models.signal.chunking import SeparateConfig


def macs_by_hand(preset: Preset, num_samples: int, channels: int) -> int:
    """Sections 3.1 to 3.3 of the paper, layer by layer, with our level inputs and attention."""
    model = preset.model
    n, h, widths = model.features, model.hidden, model.band_widths
    frames = math.ceil(num_samples / model.hop) + 1
    bands, positions = len(widths), channels * frames
    inputs = sum(3 * w + 2 if model.level_inputs else 2 * w for w in widths)
    split = positions * inputs * n
    blstm = 2 * 4 * h * (n + h) + 2 * h * n  # two directions of four gates, then the fully connected layer
    module = 2 * positions * bands * blstm  # over time and over bands
    if heads := model.attention_heads:
        module += positions * bands * n * (2 * heads * 4 + 2 * n)  # queries, keys, values, output
        module += channels * frames**2 * bands * (heads * 4 + n)  # scores and what they weigh
    hidden = model.mask_factor * n
    mask = positions * (bands * n * hidden + hidden * 4 * sum(widths))
    return split + model.layers * module + len(model.stems) * mask


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"model.bands": "v7", "model.n_fft": "2048", "model.hidden": "12", "model.layers": "3"},
        {"model.attention_heads": "2"},
        {"model.level_inputs": "false", "model.mask_factor": "4"},
    ],
    ids=str,
)
def test_a_bsrnn_costs_what_the_papers_layers_cost(settings):
    preset = override(TINY, settings)
    assert count_macs(preset.build_network, 44100, 2) == macs_by_hand(preset, 44100, 2)


def test_tac_costs_its_three_layers():
    tac, folded = override(TINY, {"model.stereo": "tac", "data.channels": "2"}), TINY
    n, frames = 8, math.ceil(44100 / 512) + 1
    exchange = len(folded.model.band_widths) * frames * n * n * (2 + 1 + 2 * 2)  # each channel, the average, both
    assert count_macs(tac.build_network, 44100, 2) - count_macs(folded.build_network, 44100, 2) == exchange


def test_a_second_is_a_share_of_a_chunk_and_overlap_counts_if_asked():
    preset = dataclasses.replace(TINY, separate=SeparateConfig(segment_s=2.0, overlap=0.5, batch=1))
    chunk = macs_by_hand(preset, 88200, 2)
    assert gmacs_per_second(preset) == pytest.approx(chunk / 2 / 1e9)
    assert gmacs_per_second(preset, overlapped=True) == pytest.approx(chunk / 1e9)
    thrice = override(preset, {"separate.shifts": "3"})
    assert gmacs_per_second(thrice, overlapped=True) == pytest.approx(3 * chunk / 1e9)
    assert gmacs_per_second(thrice) == gmacs_per_second(preset)


def test_a_training_step_is_six_operations_a_multiplication():
    crop = macs_by_hand(TINY, round(TINY.data.crop_s * 44100), TINY.data.channels)
    assert step_gflops(TINY) == pytest.approx(6 * TINY.train.batch * crop / 1e9)


def test_the_papers_network_costs_what_is_published():
    # 72 GMAC a second of mono audio for the RNN stack at K = 41: ../shared/reference/bsrnn.md
    assert gmacs_per_second(load_preset("paper-vocals")) == pytest.approx(2 * 72, rel=0.03)


class Layer(nn.Module):
    """One layer on [1, T, 6], where T samples come in."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, mixture: torch.Tensor) -> Estimate:
        sequence = mixture.mT.expand(-1, -1, 6)
        attends = isinstance(self.layer, nn.MultiheadAttention)
        return Estimate(self.layer(sequence, sequence, sequence, need_weights=False)[0] if attends else sequence)


def test_attention_that_torch_fuses_is_counted():
    network = Layer(nn.MultiheadAttention(6, 2, batch_first=True))
    assert count_macs(lambda: network, 10, 1) == 10 * 6 * 6 * 4 + 2 * 10 * 10 * 6
    network.eval()
    count_macs(lambda: network, 10, 1)
    assert not network.training


@pytest.mark.parametrize("name", ["openunmix-small", "hdemucs-small", "scnet-small"])
def test_peers_are_counted_by_what_they_are_made_of(name):
    """The same count from hooks on linear layers, convolutions and LSTMs; Demucs' attention is added."""
    preset = override(load_preset(name), {"separate.segment_s": "2"})
    network = preset.build_network().train()
    found = []

    def count(layer, inputs, output):
        if isinstance(layer, nn.Linear):
            found.append(inputs[0].shape[:-1].numel() * layer.weight.numel())
        elif isinstance(layer, nn.LSTM):
            weights = (weight for weight in layer.parameters() if weight.dim() == 2)
            found.append(inputs[0].shape[:-1].numel() * sum(weight.numel() for weight in weights))
        elif isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d):
            found.append(inputs[0].numel() // layer.in_channels * layer.weight.numel())
        else:
            found.append(output.numel() // layer.out_channels * layer.weight.numel())

    kinds = nn.Linear | nn.LSTM | nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d
    for layer in network.modules():
        if isinstance(layer, kinds):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 2, 88200))
    counted = gmacs_per_second(preset) * 2e9
    assert sum(found) <= counted * (1 + 1e-9)
    assert counted == pytest.approx(sum(found), rel=0.02)


def test_parameters_are_counted_without_making_them():
    assert count_parameters(TINY) == sum(parameter.numel() for parameter in TINY.build_network().parameters())


@pytest.mark.parametrize(
    ("name", "times"), [("tiny", 1), ("hdemucs-small", 1), ("scnet-small", 1), ("openunmix-small", 2)]
)
def test_only_open_unmix_is_built_again_to_run_on_values(name, times):
    preset, built = load_preset(name), []

    def build():
        built.append(preset.build_network())
        return built[-1]

    assert count_macs(build, 44100, 2) > 0
    assert len(built) == times
