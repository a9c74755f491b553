"""Batches made ahead are the batches made on demand."""

import pytest
import torch

from conftest import SAMPLE_RATE, STEMS
from models.presets.training import DataConfig
from models.training.data.loader import load_batches
from models.training.data.mixing import RandomMixer
from models.training.data.packs import prepare_pack


@pytest.fixture
def mixer(hq_root, tmp_path):
    pack = prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)
    return RandomMixer(pack, DataConfig(crop_s=0.1, crops="random"), STEMS, seed=3)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_whoever_makes_them(mixer, workers):
    loaded = list(load_batches(mixer, 4, slice(1, 3), 5, 9, workers, "cpu"))
    assert len(loaded) == 4
    for step, batch in zip(range(5, 9), loaded, strict=True):
        expected = mixer.batch(step, 4)
        assert torch.equal(batch.mixture, expected.mixture[1:3]) and torch.equal(batch.targets, expected.targets[1:3])
        assert batch.origins == expected.origins[1:3]


def test_nothing_is_made_past_the_last_step(mixer):
    assert list(load_batches(mixer, 2, slice(0, 2), 7, 7, 0, "cpu")) == []
