"""A separator of a causal network: streams, whole mixtures, chosen stems and other rates."""

import numpy as np
import pytest
import torch

from models.checkpoints.checkpoint import save_checkpoint
from models.presets.preset import load_preset
from models.presets.settings import override
from models.separation.separator import NetworkSeparator, load_separator
from models.signal.chunking import SeparateConfig
from scaled_copies import ScaledCopies, noise

RATE = 44100
SMALL = {"model.features": "8", "model.hidden": "8", "model.layers": "2"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    preset = override(load_preset("live"), SMALL)
    folder = tmp_path_factory.mktemp("live")
    save_checkpoint(folder, preset.build_network().state_dict(), preset, {}, "", torch.float32)
    return folder


@pytest.mark.parametrize("block", [1000, 4096, 50_000])
def test_a_stream_in_blocks_is_the_network_on_the_whole(checkpoint, block):
    separator = load_separator(str(checkpoint), "cpu")
    mixture = torch.from_numpy(noise(60_000))
    assert separator.latency == 4095
    received = given = 0
    pieces = []

    def blocks():
        nonlocal received
        for part in mixture.split(block, dim=-1):
            received += part.shape[-1]
            yield part

    for piece in separator.separate_stream(blocks(), RATE):
        pieces.append(torch.stack(list(piece.values())))
        given += pieces[-1].shape[-1]
        assert given >= received - separator.latency
    with torch.inference_mode():
        expected = separator.network(mixture[None]).waveforms[0]
    torch.testing.assert_close(torch.cat(pieces, dim=-1), expected, atol=1e-5, rtol=0)


def test_whole_mixtures_mono_and_other_rates(checkpoint):
    separator = load_separator(str(checkpoint), "cpu", stems=["bass", "vocals"])
    for mixture in (noise(1), noise(30_000), noise(5000, 1)):
        stems = separator.separate(mixture, 22050)
        assert tuple(stems) == ("bass", "vocals")
        assert all(stem.shape == mixture.shape and np.isfinite(stem).all() for stem in stems.values())
    with pytest.raises(ValueError, match="empty"):
        separator.separate(noise(0))


def test_loudness_does_not_matter(checkpoint):
    separator, mixture = load_separator(str(checkpoint), "cpu"), noise(20_000)
    expected, quieter = separator.separate(mixture), separator.separate(np.float32(0.1) * mixture)
    for stem, samples in expected.items():
        np.testing.assert_allclose(10 * quieter[stem], samples, atol=1e-4 * np.abs(samples).max())


def test_other_networks_have_no_latency():
    assert NetworkSeparator(ScaledCopies(), SeparateConfig(0.1, 0.0, 1)).latency is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "bfloat16"}, "precision: expected float32 for .*, a causal network, got bfloat16"),
        ({"overlap": 0.5}, "separate.overlap: no effect on .*, a causal network, which has no chunks"),
        ({"settings": {"separate.batch": 9}}, "separate.batch: no effect on"),
        (
            {"settings": {"separate.shifts": 4}},
            "separate.shifts, .*: expected 1 and 0 with model.causal",
        ),
        ({"settings": {"separate.residual": 0.5}}, "with model.causal, .* got 1 and 0.5"),
    ],
)
def test_what_would_have_no_effect_is_refused(checkpoint, changes, message):
    with pytest.raises(ValueError, match=message):
        load_separator(str(checkpoint), "cpu", **changes)


def test_automatic_precision_is_float32(checkpoint, monkeypatch):
    monkeypatch.setattr("models.running.precision._is_fast", lambda device: True)
    assert load_separator(str(checkpoint), "cpu", precision="auto").precision == "float32"
