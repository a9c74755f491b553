"""The configuration of a BSRNN: the paper's defaults, the paper's number of parameters, and wrong values."""

import dataclasses
import re

import pytest
import torch
from torch import nn

from models.bsrnn import BSRNN, BSRNNConfig
from models.bsrnn.mask import MaskEstimator
from models.presets.preset import load_preset


def test_the_defaults_are_the_papers():
    assert dataclasses.asdict(BSRNNConfig()) == {
        "stems": ("vocals",),
        "sample_rate": 44100,
        "n_fft": 2048,
        "hop": 512,
        "bands": "v7",
        "features": 128,
        "hidden": 256,
        "layers": 12,
        "mask_factor": 4,
        "norm": "group",
        "stereo": "folded",
        "mid_side": False,
        "level_inputs": False,
        "attention_heads": 0,
        "causal": False,
    }
    assert BSRNNConfig().num_bins == 1025


@pytest.mark.parametrize(("preset", "millions"), [("paper-vocals", 25.6), ("paper-bass", 24.9), ("paper-drums", 26.6)])
def test_paper_networks_have_the_papers_number_of_parameters(preset, millions):
    with torch.device("meta"):
        network = load_preset(preset).build_network()
    total = sum(parameter.numel() for parameter in network.parameters())
    assert total / 1e6 == pytest.approx(millions, abs=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stems": ()}, "model.stems: expected one or more different names, got []"),
        ({"stems": ("bass", "bass")}, "model.stems: expected one or more different names, got ['bass', 'bass']"),
        ({"sample_rate": 0}, "model.sample_rate: expected 1 to 768000, got 0"),
        ({"features": 0}, "model.features: expected 1 to 4096, got 0"),
        ({"hidden": -1}, "model.hidden: expected 1 to 4096, got -1"),
        ({"layers": 0}, "model.layers: expected 1 to 256, got 0"),
        ({"mask_factor": 0}, "model.mask_factor: expected 1 to 64, got 0"),
        ({"n_fft": 14}, "model.n_fft: expected an even number from 16 to 131072, got 14"),
        ({"n_fft": 2047}, "model.n_fft: expected an even number from 16 to 131072, got 2047"),
        ({"hop": 0}, "model.hop: expected 1 to n_fft / 2 = 1024, got 0"),
        ({"hop": 1025}, "model.hop: expected 1 to n_fft / 2 = 1024, got 1025"),
        ({"norm": "batch"}, "model.norm: expected one of group, rms, got 'batch'"),
        ({"stereo": "mid-side"}, "model.stereo: expected one of folded, tac, spatial, got 'mid-side'"),
        ({"mid_side": True, "stereo": "tac"}, "model.mid_side: expected model.stereo folded or spatial, got tac"),
        ({"attention_heads": -1}, "model.attention_heads: expected 0 or a divisor of features = 128, got -1"),
        ({"attention_heads": 3}, "model.attention_heads: expected 0 or a divisor of features = 128, got 3"),
        ({"bands": "v9"}, "model.bands: no scheme 'v9'"),
        ({"stereo": "features"}, "model.stereo: expected one of folded, tac, spatial, got 'features'"),
        ({"sample_rate": 16000}, "model.bands: the last edge of 'v7' is 20000 Hz, expected under 8000 Hz"),
        ({"n_fft": 256, "hop": 64}, "has no bin at n_fft 256 and 44100 Hz"),
    ],
)
def test_wrong_configurations_are_named(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        BSRNNConfig(**change)


@pytest.mark.parametrize(("preset", "millions"), [("paper-vocals", 36.4), ("paper-bass", 32.8), ("paper-drums", 41.0)])
def test_two_hidden_layers_in_the_mask_are_the_authors_code(preset, millions):
    with torch.device("meta"):
        model = load_preset(preset).model
        network = BSRNN(model)
        sizes = model.band_widths, 1, model.features, model.mask_factor * model.features
        network.masks = nn.ModuleList([MaskEstimator(*sizes, model.norm, mask_layers=2)])
    total = sum(parameter.numel() for parameter in network.parameters())
    assert total / 1e6 == pytest.approx(millions, abs=0.1)
