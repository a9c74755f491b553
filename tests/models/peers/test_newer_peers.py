"""SCNet and Moises-Light: the packages' own networks for any length, also under bfloat16."""

import re
import warnings

import pytest
import torch
from torch import Tensor, nn

from models.peers import MoisesLightConfig, MoisesLightNetwork, SCNetConfig, SCNetNetwork
from models.presets.preset import load_preset
from models.running.repository import ROOT
from models.training.machine import can_bfloat16

STEMS = ("vocals", "bass")
SCNET = SCNetConfig(stems=STEMS, n_fft=512, hop=256, features=4, layers=2)
MOISES_LIGHT = MoisesLightConfig(stems=STEMS, n_fft=512, hop=256, max_bin=192, bands=2, features=4, layers=1)


def make_scnet() -> SCNetNetwork:
    torch.manual_seed(0)
    return SCNetNetwork(SCNET).eval()


def make_moises_light() -> MoisesLightNetwork:
    torch.manual_seed(0)
    return MoisesLightNetwork(MOISES_LIGHT).eval()


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


both = pytest.mark.parametrize("make", [make_scnet, make_moises_light])


@both
@pytest.mark.parametrize("length", [1, 255, 256, 257, 511, 512, 513, 5003])
@pytest.mark.parametrize("training", [False, True])
def test_any_length_comes_back(make, length, training):
    estimate = make().train(training)(noise(2, 2, length))
    assert estimate.waveforms.shape == (2, 2, 2, length)
    assert estimate.waveforms.isfinite().all()
    assert estimate.spectrograms is None


@both
def test_a_short_mixture_is_padded_with_silence(make):
    network, mixture = make(), noise(1, 2, 100)
    padded = network(nn.functional.pad(mixture, (0, 412))).waveforms
    assert torch.equal(network(mixture).waveforms, padded[..., :100])


@both
def test_gradients_reach_every_weight_under_bfloat16(make):
    network = make().train()
    with torch.autocast("cpu", torch.bfloat16, enabled=can_bfloat16("cpu")):  # as training does
        waveforms = network(noise(2, 2, 3000)).waveforms
    assert waveforms.dtype == torch.float32
    waveforms.square().sum().backward()
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            assert name.endswith("rotary_embed.freqs")
            continue
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_scnet_is_its_packages_network():
    from pymss_core.modules.scnet import SCNet

    network, mixture = make_scnet(), noise(1, 2, 3000)
    reference = SCNet(list(STEMS), dims=[4, 4, 8, 16], nfft=512, hop_size=256, win_size=512, num_dplayer=2).eval()
    reference.load_state_dict(network.scnet.state_dict())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="A window was not provided")
        expected = reference(mixture)
    assert torch.equal(network(mixture).waveforms, expected)


@pytest.mark.parametrize("training", [False, True])
def test_each_stem_of_a_moises_light_is_its_packages_network_of_one_stem(training):
    """Also while it is trained: the package's own value of dropout is 0."""
    from moises_light import MoisesLight

    network, mixture = make_moises_light().train(training), noise(1, 2, 3000)
    sizes = {"n_fft": 512, "win_size": 512, "hop_size": 256, "freq_dim": 192, "n_bands": 2, "G": 4, "n_rope": 1}
    weights = network.moises_light.state_dict()
    last = {name: value for name, value in weights.items() if name.startswith("final_conv")}
    estimate = network(mixture).waveforms
    for stem in range(len(STEMS)):
        reference = MoisesLight([STEMS[stem]], **sizes).train(training)
        its_own = {name: value.unflatten(0, (2, len(STEMS), 4))[:, stem].flatten(0, 1) for name, value in last.items()}
        reference.load_state_dict({**weights, **its_own})
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="In CPU autocast")
            expected = reference(mixture)
        torch.testing.assert_close(estimate[:, stem : stem + 1], expected)


def test_defaults_are_the_smaller_ones_of_the_papers():
    from moises_light import configs

    assert sum(parameter.numel() for parameter in SCNetNetwork(SCNetConfig()).parameters()) == 10_578_768
    small, ours = configs["paper_small"], MoisesLightConfig()
    assert (ours.n_fft, ours.hop, ours.max_bin) == (small["n_fft"], small["hop_size"], small["freq_dim"])
    assert (ours.bands, ours.features, ours.layers) == (small["n_bands"], small["G"], small["n_rope"])


@pytest.mark.parametrize("name", ["scnet-small", "moises-light-small"])
def test_presets_separate_at_the_stft_of_tiny(name):
    preset, tiny = load_preset(name), load_preset("tiny")
    assert (preset.model.n_fft, preset.model.hop) == (tiny.model.n_fft, tiny.model.hop)
    assert (preset.separate, preset.train.precision) == (tiny.separate, tiny.train.precision)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (SCNetConfig, {"stems": ("a", "a")}, "model.stems: expected one or more different names, got ['a', 'a']"),
        (SCNetConfig, {"features": 0}, "model.features: expected 1 to 1024, got 0"),
        (SCNetConfig, {"features": 6}, "model.features: expected a multiple of 4, got 6"),
        (SCNetConfig, {"layers": 3}, "model.layers: expected an even number, got 3"),
        (SCNetConfig, {"hop": 2049}, "model.n_fft: expected an even number from 16 to 131072 and two hops, got 4096"),
        (MoisesLightConfig, {"stems": ()}, "model.stems: expected one or more different names, got []"),
        (MoisesLightConfig, {"bands": 0}, "model.bands: expected 1 to 256, got 0"),
        (MoisesLightConfig, {"features": 30}, "model.features: expected a multiple of model.bands (4), got 30"),
        (
            MoisesLightConfig,
            {"max_bin": 28},
            "model.max_bin: expected 32 to 3073 and a multiple of model.bands, got 28",
        ),
        (MoisesLightConfig, {"max_bin": 3076}, "model.max_bin: expected 32 to 3073 and a multiple of model.bands"),
        (
            MoisesLightConfig,
            {"max_bin": 33},
            "model.max_bin: expected 32 to 3073 and a multiple of model.bands, got 33",
        ),
        (MoisesLightConfig, {"n_fft": 4097}, "model.n_fft: expected an even number from 16 to 131072 and two hops"),
    ],
)
def test_wrong_settings_are_named(kind, change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        kind(**change)


@pytest.mark.parametrize(("make", "distribution"), [(make_scnet, "pymss-core"), (make_moises_light, "moises-light")])
def test_without_its_package_a_line_says_how_to_install_it(monkeypatch, make, distribution):
    def refuse(module):
        raise ModuleNotFoundError(module)

    monkeypatch.setattr("importlib.import_module", refuse)
    expected = f"the package {distribution} is not installed: pip install --no-deps -r requirements-peers.txt"
    with pytest.raises(ValueError, match=re.escape(expected)):
        make()
    pins = [
        line for line in (ROOT / "requirements-peers.txt").read_text().splitlines() if line.startswith(distribution)
    ]
    assert len(pins) == 1 and pins[0] in (ROOT / "requirements-dev.txt").read_text().splitlines()
