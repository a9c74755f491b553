"""Random mixing: repeatable, its gains and drops as configured, targets that sum to the mixture."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch

from conftest import STEMS
from made_packs import NOISY, PLAIN, constant_pack, ramp_pack
from models.presets.training import DataConfig
from models.training.data.mixing import RandomMixer


@pytest.fixture
def pack(tmp_path):
    return constant_pack(tmp_path)


@pytest.fixture
def ramps(tmp_path):
    return ramp_pack(tmp_path)


def test_a_step_is_repeatable_and_steps_differ(pack):
    config = DataConfig(crop_s=0.5, crops="random")
    first = RandomMixer(pack, config, STEMS, seed=1).batch(7, 4)
    again = RandomMixer(pack, config, STEMS, seed=1).batch(7, 4)
    assert torch.equal(first.targets, again.targets) and first.origins == again.origins
    for step, seed in ((8, 1), (7, 2)):
        assert not torch.equal(first.targets, RandomMixer(pack, config, STEMS, seed=seed).batch(step, 4).targets)


@pytest.mark.parametrize("channels", [1, 2])
def test_targets_sum_to_the_mixture_and_the_peak_is_one(pack, channels):
    config = dataclasses.replace(PLAIN, channels=channels, gain_db=10.0, drop=0.3)
    batch = RandomMixer(pack, config, STEMS, seed=0).batch(0, 16)
    assert batch.mixture.shape == (16, channels, 22050) and batch.targets.shape == (16, 4, channels, 22050)
    assert torch.allclose(batch.targets.sum(dim=1), batch.mixture, atol=1e-6)
    peaks = torch.maximum(batch.mixture.abs().amax(dim=(1, 2)), batch.targets.abs().amax(dim=(1, 2, 3)))
    assert torch.allclose(peaks[peaks > 0], torch.ones(()))


def test_each_source_has_a_gain_of_its_own_within_the_range(pack):
    mixer = RandomMixer(pack, dataclasses.replace(PLAIN, gain_db=10.0), STEMS, seed=0)
    gains_db = []
    generator = np.random.default_rng(0)
    for _ in range(300):
        example, _ = mixer._example(generator)
        ratio = example[:, 0, 0] / np.array([0.1, 0.2, 0.3, 0.4])
        gains_db.append(20 * np.log10(ratio) % 20)  # track two is 20 dB louder
    gains_db = np.array(gains_db)
    gains_db = np.where(gains_db > 10, gains_db - 20, gains_db)
    assert gains_db.min() < -9.5 and gains_db.max() > 9.5
    assert np.abs(np.corrcoef(gains_db.T) - np.eye(4)).max() < 0.2


def test_without_gain_levels_are_the_tracks_and_sources_come_from_both_tracks(pack):
    mixer = RandomMixer(pack, PLAIN, STEMS, seed=0)
    generator = np.random.default_rng(0)
    levels = {round(float(mixer._example(generator)[0][0, 0, 0]), 2) for _ in range(50)}
    assert levels == {0.1, 1.0}


def test_tracks_are_drawn_equally_often_whatever_their_length(pack):
    mixer = RandomMixer(pack, PLAIN, STEMS, seed=0)
    assert len({track.num_samples for track in pack.tracks}) > 1
    assert np.allclose(mixer.pools[0].weights, [1 / 2, 1 / 2])


def test_drop_leaves_out_a_source_and_its_target(pack):
    mixer = RandomMixer(pack, dataclasses.replace(PLAIN, drop=0.25), STEMS, seed=0)
    generator = np.random.default_rng(0)
    dropped = np.mean([(mixer._example(generator)[0] == 0).all(axis=(1, 2)) for _ in range(500)])
    assert 0.2 < dropped < 0.3


def test_a_mono_example_is_one_channel_of_either_side(pack):
    mixer = RandomMixer(pack, PLAIN, STEMS, seed=0)
    generator = np.random.default_rng(0)
    levels = {round(float(mixer._example(generator)[0][0, 0, 0]), 4) for _ in range(100)}
    assert levels == {0.1, 0.1001, 1.0, 1.002}


def test_a_stereo_mixture_of_mono_targets_has_the_sides_exchanged_at_random(pack):
    mono = RandomMixer(pack, PLAIN, STEMS, seed=0).batch(0, 64)
    batch = RandomMixer(pack, PLAIN, STEMS, seed=0, stereo_mixture=True).batch(0, 64)
    assert batch.mixture.shape == (64, 2, 22050) and batch.targets.shape == (64, 4, 1, 22050)
    torch.testing.assert_close(batch.targets.sum(dim=1)[:, 0], batch.mixture[:, 0])
    assert batch.origins == mono.origins  # one draw serves both
    ratio = batch.mixture[:, :1] / mono.mixture
    torch.testing.assert_close(ratio, ratio[..., :1].expand_as(ratio))
    louder = (batch.mixture[:, 1] > batch.mixture[:, 0]).any(dim=1)  # the right channel is, in every stem
    assert louder.any() and not louder.all()


@pytest.mark.parametrize("stereo_mixture", [False, True])
def test_mid_and_side_are_those_of_the_whole_example(ramps, stereo_mixture):
    config = dataclasses.replace(PLAIN, crop_s=0.01, mid_side=0.75)
    plain = RandomMixer(ramps, dataclasses.replace(config, mid_side=0.0), STEMS, seed=0, stereo_mixture=True)
    mixer = RandomMixer(ramps, config, STEMS, seed=0, stereo_mixture=stereo_mixture)
    kinds = []
    for seed in range(300):
        stereo, _ = plain._example(np.random.default_rng(seed))
        example, _ = mixer._example(np.random.default_rng(seed))
        left, right = stereo[:, 0], stereo[:, 1]
        pairs = {"left": (left, right), "mid": (left + right, left - right), "side": (left - right, left + right)}
        matches = [
            kind
            for kind, pair in pairs.items()
            if np.allclose(
                example, np.stack(pair, axis=1)[:, : 1 + stereo_mixture] * (1 if kind == "left" else 0.5**0.5)
            )
        ]
        kinds += matches[:1]
    assert len(kinds) == 300
    assert 0.18 < kinds.count("left") / 300 < 0.32
    assert 0.25 < kinds.count("side") / (kinds.count("mid") + kinds.count("side")) < 0.42


def test_a_network_of_some_stems_still_hears_all_sources(pack):
    batch = RandomMixer(pack, PLAIN, ("bass",), seed=0).batch(0, 2)
    assert batch.targets.shape[1] == 1
    assert (batch.mixture > batch.targets[:, 0]).all()


def test_stems_come_in_the_networks_order(pack):
    forward = RandomMixer(pack, PLAIN, STEMS, seed=0).batch(0, 2)
    backward = RandomMixer(pack, PLAIN, STEMS[::-1], seed=0).batch(0, 2)
    assert torch.equal(forward.targets.flip(1), backward.targets)


def test_short_tracks_are_padded(pack):
    batch = RandomMixer(pack, dataclasses.replace(PLAIN, crop_s=6.0), STEMS, seed=0).batch(0, 2)
    assert batch.mixture.shape[-1] == 6 * 44100
    assert (batch.mixture[..., -2 * 44100 :] == 0).all() and (batch.mixture[..., 0] != 0).all()


def test_origins_name_track_and_sample(pack):
    origins = RandomMixer(pack, PLAIN, STEMS, seed=0).batch(0, 1).origins
    assert "vocals of '" in origins[0] and "at sample" in origins[0]


def test_parts_of_a_batch_are_the_batch(pack):
    config = dataclasses.replace(NOISY, speed_semitones=2.0, remix=0.5)
    mixer = RandomMixer(pack, config, STEMS, seed=3)
    whole = mixer.batch(5, 7)
    worker = pickle.loads(pickle.dumps(mixer))
    parts = [mixer.batch(5, 7, slice(0, 7, 2)), worker.batch(5, 7, slice(1, 7, 2))]
    for first, part in enumerate(parts):
        assert torch.equal(whole.mixture[first::2], part.mixture)
        assert torch.equal(whole.targets[first::2], part.targets)
        assert whole.origins[first::2] == part.origins
    assert torch.equal(mixer.batch(5, 3).targets, whole.targets[:3])


def test_a_mixer_is_small_when_pickled_and_holds_no_file(pack):
    assert len(pickle.dumps(RandomMixer(pack, PLAIN, STEMS, seed=0))) < 10_000
