"""Fine-tuning begins with another network's weights."""

import dataclasses

import pytest
import torch

from conftest import TINY
from models.checkpoints.checkpoint import save_checkpoint
from models.presets.preset import load_preset
from models.training.initial import initialise


def with_model(**changes):
    return dataclasses.replace(TINY, model=dataclasses.replace(TINY.model, **changes))


@pytest.fixture
def trained(tmp_path):
    """A checkpoint of vocals and drums, and its weights as float16 keeps them."""
    torch.manual_seed(1)
    weights = {name: value.half().float() for name, value in TINY.build_network().state_dict().items()}
    save_checkpoint(tmp_path / "trained", weights, TINY, {}, "card")
    return tmp_path / "trained", weights


def test_the_same_network_gets_every_weight(trained):
    folder, weights = trained
    network = TINY.build_network()
    assert initialise(network, folder).kept == ()
    for name, value in network.state_dict().items():
        assert torch.equal(value, weights[name])


def test_maskers_follow_their_stems_and_new_stems_begin_anew(trained):
    folder, weights = trained
    network = with_model(stems=("piano", "vocals")).build_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    kept = initialise(network, folder).kept
    assert kept and all(name.startswith("masks.0.") for name in kept)  # piano
    for name, value in network.state_dict().items():
        if name.startswith("masks.1."):  # vocals, first in the checkpoint
            assert torch.equal(value, weights["masks.0." + name.removeprefix("masks.1.")])
        elif name in kept:
            assert torch.equal(value, before[name])
        elif not name.startswith("masks."):
            assert torch.equal(value, weights[name])


@pytest.mark.parametrize("stereo", ["tac", "spatial"])
def test_a_block_that_is_added_changes_nothing_at_first(trained, stereo):
    folder, _ = trained
    plain, grown = TINY.build_network(), with_model(attention_heads=2, stereo=stereo).build_network()
    initialise(plain, folder)
    assert initialise(grown, folder).kept
    mixture = torch.randn(1, 2, 8000)
    with torch.no_grad():
        assert torch.allclose(plain(mixture).waveforms, grown(mixture).waveforms, atol=1e-6)


def test_a_network_that_shares_no_weight_is_refused(trained):
    folder, _ = trained
    with pytest.raises(ValueError, match="--init: .*bsrnn.* shares no weight"):
        initialise(load_preset("openunmix-small").build_network(), folder)
