"""Random mixing: repeatable, its gains and drops as configured, targets that sum to the mixture."""

import dataclasses

import numpy as np
import pytest
import torch

from conftest import SAMPLE_RATE, STEMS
from models.training.config import DataConfig
from models.training.mixing import RandomMixer
from models.training.packs import Pack, PackedTrack


@pytest.fixture
def pack(tmp_path):
    """Two training tracks in which every stem is a constant: 1000, 2000, 3000, 4000, ten times that in track two."""
    tracks = []
    for index, (name, length) in enumerate((("one", 44100), ("two", 4 * 44100))):
        levels = np.array([1000, 2000, 3000, 4000], dtype=np.int16)
        audio = np.ones((4, 2, length), dtype=np.int16) * levels[:, None, None]
        audio[:, 1] += 1 + index  # the right channel differs
        np.save(tmp_path / f"{name}.npy", audio)
        tracks.append(PackedTrack(name, "train", tmp_path / f"{name}.npy", 1e-4 * 10**index, (False,) * 4))
    return Pack(tmp_path, STEMS, SAMPLE_RATE, tuple(tracks), "made")


PLAIN = DataConfig(crop_s=0.5, channels=1, gain_db=0.0, drop=0.0)


def test_a_step_is_repeatable_and_steps_differ(pack):
    config = DataConfig(crop_s=0.5)
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


def test_tracks_are_drawn_by_the_square_root_of_their_length(pack):
    mixer = RandomMixer(pack, PLAIN, STEMS, seed=0)
    assert np.allclose(mixer.choices[0][2], [1 / 3, 2 / 3])


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


def test_silent_stems_are_not_drawn(pack):
    one, two = pack.tracks
    silent = dataclasses.replace(two, silent=(True, False, False, False))
    mixer = RandomMixer(dataclasses.replace(pack, tracks=(one, silent)), PLAIN, STEMS, seed=0)
    assert [track.name for track in mixer.choices[0][0]] == ["one"]
    mute = dataclasses.replace(one, silent=(True, False, False, False))
    with pytest.raises(ValueError, match="'vocals' is silent in all 2 training tracks"):
        RandomMixer(dataclasses.replace(pack, tracks=(mute, silent)), PLAIN, STEMS, seed=0)


def test_unusable_packs(pack):
    with pytest.raises(ValueError, match="at least one training track, got 0"):
        RandomMixer(dataclasses.replace(pack, tracks=()), PLAIN, STEMS, seed=0)
    with pytest.raises(ValueError, match="asks for guitar too"):
        RandomMixer(pack, PLAIN, ("vocals", "guitar"), seed=0)
