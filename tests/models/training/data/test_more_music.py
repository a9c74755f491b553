"""Mixing with music beside the pack's: how often, from where, and nothing changes without it."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch

from conftest import STEMS
from made_packs import PLAIN, constant_pack
from models.training.data.mixing import RandomMixer
from models.training.data.packs import PackedTrack
from models.training.data.pools import MoreMusic, SegmentPool, Segments

CONFIG = dataclasses.replace(PLAIN, crop_s=0.01)


@pytest.fixture
def pack(tmp_path):
    return constant_pack(tmp_path)


def constant_track(tmp_path, name, levels):
    audio = np.ones((4, 2, 44100), dtype=np.int16) * np.array(levels, dtype=np.int16)[:, None, None]
    np.save(tmp_path / f"{name}.npy", audio)
    track = PackedTrack(name, "train", tmp_path / f"{name}.npy", 1.0, tuple(not level for level in levels))
    return SegmentPool([Segments(track, (0,), 44100, 1)])


@pytest.fixture
def more(tmp_path):
    """Vocals at 7000; all but vocals at 1, 2 and 3, no rest beside other stems."""
    vocals, rest = (constant_track(tmp_path, *facts) for facts in (("v", (7000, 0, 0, 0)), ("r", (0, 1, 2, 3))))
    return MoreMusic(0.25, {0: vocals}, {0: rest})


def origins(mixer, number=2000):
    generator = np.random.default_rng(0)
    return [mixer._example(generator)[1] for _ in range(number)]


def test_stems_and_rests_come_as_often_as_it_says(pack, more):
    found = origins(RandomMixer(pack, CONFIG, STEMS, 0, more=more))
    rests = ["all but vocals of 'r'" in text for text in found]
    assert np.mean(rests) == pytest.approx(0.25, abs=0.03)
    assert np.mean(["vocals of 'v'" in text for text in found]) == pytest.approx(0.25, abs=0.03)
    both = np.mean(["vocals of 'v'" in text and "all but" in text for text in found])
    assert both == pytest.approx(0.25**2, abs=0.02)  # independent of each other
    assert all("drums of 'one'" in text or "drums of 'two'" in text for text in found if "all but" not in text)


def test_a_rest_keeps_its_proportions_and_is_left_out_as_one(pack, more):
    mixer = RandomMixer(
        pack, dataclasses.replace(CONFIG, gain_db=10.0, drop=0.2), STEMS, 0, more=dataclasses.replace(more, share=1.0)
    )
    generator = np.random.default_rng(0)
    gains, left_out = [], 0
    for _ in range(300):
        example, _ = mixer._example(generator)
        left_out += not example[1:].any()
        if example[1].any():
            assert example[1:, 0, 0] == pytest.approx(example[1, 0, 0] * np.array([1, 2, 3]))
            gains.append(20 * np.log10(example[1, 0, 0]))
    assert 0.12 < left_out / 300 < 0.28
    assert min(gains) < -9 and max(gains) > 9


def test_the_focus_is_any_stem_that_has_a_rest(pack, more):
    both = dataclasses.replace(more, share=1.0, rests={0: more.rests[0], 3: more.rests[0]})
    found = origins(RandomMixer(pack, CONFIG, STEMS, 0, more=both))
    assert np.mean(["all but other" in text for text in found]) == pytest.approx(0.5, abs=0.05)


def test_recorded_songs_stay_the_packs(pack, more):
    config = dataclasses.replace(CONFIG, remix=0.0)
    with_more, without = (
        RandomMixer(pack, config, STEMS, 0, more=music).batch(3, 8)
        for music in (dataclasses.replace(more, share=1.0), None)
    )
    assert torch.equal(with_more.mixture, without.mixture) and with_more.origins == without.origins


def test_targets_sum_to_the_mixture_and_a_pickled_mixer_gives_the_same(pack, more):
    mixer = RandomMixer(
        pack, dataclasses.replace(CONFIG, mid_side=0.5), STEMS, 5, more=dataclasses.replace(more, share=0.6)
    )
    batch, again = mixer.batch(2, 16), pickle.loads(pickle.dumps(mixer)).batch(2, 16)
    assert torch.equal(batch.targets, again.targets) and batch.origins == again.origins
    assert torch.allclose(batch.targets.sum(dim=1), batch.mixture, atol=1e-5)
