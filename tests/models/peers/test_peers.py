"""The peers: the packages' own classes with our interface, for any length; a package is imported when one is built."""

import re
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.peers import HDemucsConfig, HDemucsNetwork, OpenUnmixConfig, OpenUnmixNetwork, openunmix
from models.presets.preset import load_preset
from models.presets.settings import override
from models.running.repository import ROOT

OPENUNMIX = OpenUnmixConfig(stems=("vocals", "bass"), n_fft=64, hop=16, max_bin=20, hidden=8, layers=2)
HDEMUCS = HDemucsConfig(stems=("vocals", "bass"), features=4, depth=5)


def make_openunmix(config: OpenUnmixConfig = OPENUNMIX) -> OpenUnmixNetwork:
    torch.manual_seed(0)
    return OpenUnmixNetwork(config).eval()


@pytest.fixture(scope="module")
def hdemucs() -> HDemucsNetwork:
    torch.manual_seed(0)
    return HDemucsNetwork(HDEMUCS).eval()


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("length", [1, 2, 31, 32, 33, 63, 64, 65, 1001])
@pytest.mark.parametrize("training", [False, True])
def test_openunmix_takes_any_length(length, training):
    estimate = make_openunmix().train(training)(noise(2, 2, length))
    assert estimate.waveforms.shape == (2, 2, 2, length)
    assert estimate.waveforms.isfinite().all()
    assert estimate.spectrograms is None


@pytest.mark.parametrize("length", [1, 4095, 5003])
def test_hdemucs_takes_any_length(hdemucs, length):
    with torch.no_grad():
        estimate = hdemucs(noise(1, 2, length))
    assert estimate.waveforms.shape == (1, 2, 2, length)
    assert estimate.waveforms.isfinite().all()
    assert estimate.spectrograms is None


@pytest.mark.parametrize(("training", "iterations"), [(True, 0), (False, 1)])
def test_openunmix_filters_only_when_it_separates(monkeypatch, training, iterations):
    import openunmix.model

    calls: list[int] = []
    wiener = openunmix.model.wiener

    def record(targets: Tensor, mixture: Tensor, niter: int, **options) -> Tensor:
        calls.append(niter)
        return wiener(targets, mixture, niter, **options)

    monkeypatch.setattr(openunmix.model, "wiener", record)
    make_openunmix().train(training)(noise(1, 2, 300))
    assert set(calls) == {iterations}


def test_the_filter_changes_the_estimate_and_keeps_the_mixture(monkeypatch):
    mixture = noise(1, 2, 600)
    filtered = make_openunmix()(mixture).waveforms
    monkeypatch.setattr(openunmix, "WIENER_ITERATIONS", 0)
    plain = make_openunmix()(mixture).waveforms
    assert (plain - filtered).abs().max() > 1e-3
    torch.testing.assert_close(filtered.sum(dim=1), mixture, rtol=1e-3, atol=1e-3)


def test_one_stem_is_not_filtered():
    """The package refuses to filter a single target."""
    network = make_openunmix(replace(OPENUNMIX, stems=("vocals",)))
    assert network(noise(1, 2, 300)).waveforms.shape == (1, 1, 2, 300)


def test_openunmix_is_its_packages_separator():
    from openunmix.model import OpenUnmix, Separator

    network, mixture = make_openunmix(), noise(1, 2, 500)
    targets = {stem: OpenUnmix(33, 2, hidden_size=8, nb_layers=2, max_bin=20) for stem in OPENUNMIX.stems}
    reference = Separator(targets, niter=1, n_fft=64, n_hop=16, nb_channels=2).eval()
    reference.load_state_dict(network.separator.state_dict())
    assert torch.equal(network(mixture).waveforms, reference(mixture))


def test_hdemucs_is_its_packages_network(hdemucs):
    from demucs.hdemucs import HDemucs

    reference = HDemucs(["vocals", "bass"], channels=4, depth=5).eval()
    reference.load_state_dict(hdemucs.hdemucs.state_dict())
    mixture = noise(1, 2, 6000)
    with torch.no_grad():
        expected = reference(mixture)
        assert torch.equal(hdemucs(mixture).waveforms, expected)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(hdemucs(mixture).waveforms, expected)


def test_hdemucs_short_input_is_padded_with_silence(hdemucs):
    mixture = noise(1, 2, 100)
    with torch.no_grad():
        padded = hdemucs(torch.nn.functional.pad(mixture, (0, 4096 - 100))).waveforms
        assert torch.equal(hdemucs(mixture).waveforms, padded[..., :100])


def test_gradients_reach_openunmix():
    network = make_openunmix().train()
    network(noise(2, 2, 500)).waveforms.square().sum().backward()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_gradients_reach_hdemucs():
    network = HDemucsNetwork(HDEMUCS).train()
    network(noise(1, 2, 5000)).waveforms.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_attributes_are_what_a_separator_needs(hdemucs):
    for network in (make_openunmix(), hdemucs):
        assert (network.stems, network.sample_rate, network.channels) == (("vocals", "bass"), 44100, 2)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (OpenUnmixConfig, {"stems": ()}, "model.stems: expected one or more different names, got []"),
        (OpenUnmixConfig, {"stems": ("a", "a")}, "model.stems: expected one or more different names, got ['a', 'a']"),
        (OpenUnmixConfig, {"sample_rate": 0}, "model.sample_rate: expected 1 to 768000, got 0"),
        (OpenUnmixConfig, {"hop": 0}, "model.hop: expected 1 to 65536, got 0"),
        (OpenUnmixConfig, {"hidden": 0}, "model.hidden: expected 1 to 4096, got 0"),
        (OpenUnmixConfig, {"layers": 0}, "model.layers: expected 1 to 256, got 0"),
        (
            OpenUnmixConfig,
            {"n_fft": 15},
            "model.n_fft: expected an even number from 16 to 131072 and two hops, got 15, 1024",
        ),
        (
            OpenUnmixConfig,
            {"n_fft": 4097},
            "model.n_fft: expected an even number from 16 to 131072 and two hops, got 4097",
        ),
        (
            OpenUnmixConfig,
            {"hop": 2049},
            "model.n_fft: expected an even number from 16 to 131072 and two hops, got 4096, 2049",
        ),
        (OpenUnmixConfig, {"max_bin": 0}, "model.max_bin: expected 1 to 2049, got 0"),
        (OpenUnmixConfig, {"max_bin": 2050}, "model.max_bin: expected 1 to 2049, got 2050"),
        (HDemucsConfig, {"stems": ()}, "model.stems: expected one or more different names, got []"),
        (HDemucsConfig, {"stems": ("a", "a")}, "model.stems: expected one or more different names, got ['a', 'a']"),
        (HDemucsConfig, {"sample_rate": 0}, "model.sample_rate: expected 1 to 768000, got 0"),
        (HDemucsConfig, {"growth": 0}, "model.growth: expected 1 to 8, got 0"),
        (HDemucsConfig, {"features": 0}, "model.features: expected 1 to 1024, got 0"),
        (HDemucsConfig, {"features": 6}, "model.features: expected a multiple of 4, got 6"),
        (HDemucsConfig, {"depth": 4}, "model.depth: expected 5 or 6 (fewer do not merge the two branches), got 4"),
        (HDemucsConfig, {"depth": 7}, "model.depth: expected 5 or 6 (fewer do not merge the two branches), got 7"),
    ],
)
def test_wrong_configurations_are_named(kind, change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        kind(**change)


def test_overrides_are_checked():
    with pytest.raises(ValueError, match=re.escape("model.depth: expected 5 or 6")):
        override(load_preset("hdemucs-small"), {"model.depth": "3"})


def test_importing_the_module_loads_no_peer():
    program = "import sys, models.peers, models.presets.preset\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    loaded = {name.split(".")[0] for name in result.stdout.split()}
    assert "torch" in loaded and not loaded & {"demucs", "openunmix", "torchaudio", "pymss_core", "moises_light"}
