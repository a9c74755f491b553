"""Settings that do not fit the network or the machine are refused before the first step."""

import dataclasses

import pytest

from conftest import SAMPLE_RATE, STEMS, TINY, with_train
from models.training.data.packs import prepare_pack
from models.training.loop import train


@pytest.fixture
def pack(hq_root, tmp_path):
    return prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)


def test_float16_asks_for_a_gpu(pack, tmp_path):
    with pytest.raises(ValueError, match="train.precision: float16 needs a GPU"):
        train(with_train(precision="float16"), pack, tmp_path / "run")


def test_a_network_of_stereo_asks_for_stereo_examples(pack, tmp_path):
    preset = dataclasses.replace(TINY, model=dataclasses.replace(TINY.model, stereo="tac"))
    with pytest.raises(ValueError, match="data.channels: expected 2 for model.stereo=tac, got 1"):
        train(preset, pack, tmp_path / "run")


@pytest.mark.parametrize("architecture", ["openunmix", "hdemucs", "scnet", "moises_light", "magronp"])
def test_other_architectures_ask_for_stereo_examples(pack, tmp_path, architecture):
    preset = dataclasses.replace(TINY, architecture=architecture)
    with pytest.raises(ValueError, match=f"expected 2 for the architecture {architecture}, got 1"):
        train(preset, pack, tmp_path / "run")


def test_a_residual_without_other_is_refused_before_the_first_step(pack, tmp_path):
    preset = dataclasses.replace(TINY, separate=dataclasses.replace(TINY.separate, residual=0.5))
    with pytest.raises(ValueError, match="separate.residual: expected a network of other and more stems"):
        train(preset, pack, tmp_path / "run")
    assert not (tmp_path / "run" / "last.pt").exists()
