"""Which music an example is cut from: recorded songs, speed, direction, rendered tracks, salient segments."""

import dataclasses
import re

import numpy as np
import pytest

from conftest import STEMS
from made_packs import NOISY, PLAIN, constant_pack, ramp_pack
from models.training.data.mixing import RandomMixer
from models.training.data.packs import Pack, PackedTrack


@pytest.fixture
def pack(tmp_path):
    return constant_pack(tmp_path)


@pytest.fixture
def ramps(tmp_path):
    return ramp_pack(tmp_path)


def test_without_remix_all_sources_are_one_track_at_one_moment(ramps):
    mixer = RandomMixer(ramps, dataclasses.replace(PLAIN, remix=0.0, speed_semitones=3.0), STEMS, seed=0)
    songs = set()
    for seed in range(20):
        example, origin = mixer._example(np.random.default_rng(seed))
        assert np.allclose(np.diff(example[:, 0], axis=0), 1000, atol=0.1)
        songs.add(example[0, 0, 0] > 9_000)
        assert len(set(re.findall("of .*? at sample .*?(?=;|$)", origin))) == 1
    assert songs == {False, True}


def test_remix_is_the_probability_of_independent_tracks(ramps):
    def share_of_mixed(remix):
        mixer = RandomMixer(ramps, dataclasses.replace(PLAIN, crop_s=0.01, remix=remix), STEMS, seed=0)
        examples = (mixer._example(np.random.default_rng(seed))[0] for seed in range(400))
        return np.mean([np.ptp(example[:, 0, 0] - 1000 * np.arange(4)) > 0 for example in examples])

    assert share_of_mixed(1.0) > 0.99 and share_of_mixed(0.0) == 0
    assert 0.42 < share_of_mixed(0.5) < 0.58


def test_real_songs_have_gains_and_omissions_of_each_source(pack):
    mixer = RandomMixer(pack, dataclasses.replace(PLAIN, remix=0.0, gain_db=10.0, drop=0.25), STEMS, seed=0)
    examples = np.stack([mixer._example(np.random.default_rng(seed))[0][:, 0, 0] for seed in range(300)])
    assert 0.2 < np.mean(examples == 0) < 0.3
    sounding = examples[(examples > 0).all(axis=1)] / [0.1, 0.2, 0.3, 0.4]
    assert np.abs(np.diff(20 * np.log10(sounding), axis=1)).max() > 10


def test_a_stem_that_is_silent_in_a_song_is_silent_there(ramps):
    one, two = ramps.tracks
    np.save(one.path, np.load(one.path) * np.array([0, 1, 1, 1], dtype=np.int16)[:, None, None])
    songs = (dataclasses.replace(one, silent=(True, False, False, False)), dataclasses.replace(two, silent=(True,) * 4))
    config = dataclasses.replace(PLAIN, remix=0.0, sources=STEMS[1:])
    with pytest.raises(ValueError, match="'vocals' is silent"):
        RandomMixer(dataclasses.replace(ramps, tracks=songs), config, STEMS, seed=0)
    mixer = RandomMixer(dataclasses.replace(ramps, tracks=(songs[0], two)), config, STEMS, seed=0)
    for seed in range(20):
        example, origin = mixer._example(np.random.default_rng(seed))
        assert ("vocals of" in origin) == bool(example[0].any()) == ("'two'" in origin)
    empty = dataclasses.replace(two, name="empty", silent=(True,) * 4)
    mixer = RandomMixer(dataclasses.replace(ramps, tracks=(*ramps.tracks, empty)), config, STEMS, seed=0)
    assert [entry.track.name for entry in mixer.songs.entries] == ["one", "two"]


def test_speed_takes_longer_or_shorter_crops(ramps):
    mixer = RandomMixer(ramps, dataclasses.replace(PLAIN, crop_s=0.2, speed_semitones=12.0), STEMS, seed=0)
    rates = []
    for seed in range(100):
        example, origin = mixer._example(np.random.default_rng(seed))
        assert example.shape == (4, 1, 8820)
        rates.append(np.diff(example[0, 0, [1000, 7000]])[0] / 60)
        _, _, speed = origin.split(";")[0].partition(" at speed ")
        assert rates[-1] == pytest.approx(float(speed or 1), abs=0.03)
    assert min(rates) < 0.55 and max(rates) > 1.9


def test_rendered_tracks_are_drawn_by_their_probability_only(ramps):
    one, two = ramps.tracks
    tracks = (one, dataclasses.replace(two, rendered=True, silent=(True, False, False, False)))
    mixed = dataclasses.replace(ramps, tracks=tracks)

    def shares(**changes):
        mixer = RandomMixer(mixed, dataclasses.replace(PLAIN, crop_s=0.01, **changes), STEMS, seed=0)
        examples = np.stack([mixer._example(np.random.default_rng(seed))[0][:, 0, 0] for seed in range(300)])
        return (examples > 9_000).mean(axis=0)

    assert not shares().any()
    assert not shares(rendered=1.0, remix=0.0).any()  # recorded songs are of recorded tracks
    assert np.array_equal(shares(rendered=1.0), [0, 1, 1, 1])
    some = shares(rendered=0.25, rendered_stems=("bass", "other"))
    assert not some[:2].any() and (abs(some[2:] - 0.25) < 0.07).all()


def test_rendered_sources_must_be_there(ramps):
    one, two = ramps.tracks
    config = dataclasses.replace(PLAIN, rendered=0.5)
    with pytest.raises(ValueError, match="'drums' is silent in all 0 rendered tracks; change data.rendered_stems, or"):
        RandomMixer(ramps, config, STEMS, seed=0)
    tracks = (one, dataclasses.replace(two, rendered=True, silent=(True, False, True, False)))
    with pytest.raises(ValueError, match="'bass' is silent in all 1 rendered tracks"):
        RandomMixer(dataclasses.replace(ramps, tracks=tracks), config, STEMS, seed=0)
    with pytest.raises(ValueError, match="at least one training track, got 0"):
        RandomMixer(dataclasses.replace(ramps, tracks=tracks[1:]), config, STEMS, seed=0)


@pytest.mark.parametrize("remix", [0.0, 1.0])
def test_reverse_plays_sources_backwards_and_recorded_songs_as_a_whole(ramps, remix):
    mixer = RandomMixer(ramps, dataclasses.replace(PLAIN, reverse=0.25, remix=remix), STEMS, seed=0)
    falls = []
    for seed in range(200):
        example, origin = mixer._example(np.random.default_rng(seed))
        falls.append(example[:, 0, 0] > example[:, 0, -1])
        assert [" backwards" in part for part in origin.split(";")] == list(falls[-1])
        first, last = np.sort(example[:, 0, [0, -1]], axis=1).T
        assert (last - first >= 219).all()  # the same half second either way
    assert 0.18 < np.mean(falls) < 0.32
    assert all(len(set(fall)) == 1 for fall in falls) == (remix == 0)


@pytest.mark.parametrize("remix", [0.0, 1.0])
def test_left_and_right_of_stereo_examples_stay(ramps, remix):
    mixer = RandomMixer(ramps, dataclasses.replace(PLAIN, channels=2, remix=remix), STEMS, seed=0)
    for seed in range(50):
        assert np.all(np.diff(mixer._example(np.random.default_rng(seed))[0][:, :, 0]) == 500.0)


def test_batches_are_those_that_a_run_began_with(pack):
    """What this code made on 2026-11-29: a run that it began goes on with the batches that it would have had."""
    batch = RandomMixer(pack, dataclasses.replace(NOISY, reverse=0.5, remix=0.5), STEMS, seed=3).batch(5, 2)
    assert batch.origins == (
        "vocals of 'two' at sample 140740; drums of 'one' at sample 35065 backwards; "
        "bass of 'two' at sample 161343; other of 'one' at sample 26602 backwards",
        "; ".join(f"{stem} of 'one' at sample 1076" for stem in STEMS),
    )
    levels = [[0.115114, 0.156381, 0.488847, 0.239657], [0.034017, 0.079857, 0.339214, 0.546912]]
    np.testing.assert_allclose(batch.targets[:, :, 0, 0], levels, atol=1e-6)


def halves(folder, name, playing, **changes):
    """20 s of noise in the stems' halves that play: "01" is a stem silent for its first 10 s."""
    audio = np.random.default_rng(len(name)).integers(-3000, 3000, (4, 2, 20 * 4410)).astype(np.int16)
    for stem, flags in enumerate(playing):
        for half, flag in enumerate(flags):
            audio[stem, :, half * 44100 : (half + 1) * 44100] *= int(flag)
    np.save(folder / f"{name}.npy", audio)
    silent = tuple("1" not in flags for flags in playing)
    return PackedTrack(name, "train", folder / f"{name}.npy", 1e-4, silent, **changes)


def test_salient_crops_lie_where_the_source_plays(tmp_path):
    tracks = (halves(tmp_path, "a", ["01", "11", "10", "00"]), halves(tmp_path, "bb", ["00", "01", "11", "01"]))
    pack = Pack(tmp_path, STEMS, 4410, tracks, "made")
    config = dataclasses.replace(PLAIN, crop_s=3.0, crops="salient")
    mixer = RandomMixer(pack, config, STEMS, seed=0)
    assert [[entry.track.name for entry in pool.entries] for pool in mixer.pools] == [
        ["a"],
        ["a", "bb"],
        ["a", "bb"],
        ["bb"],
    ]
    drums = mixer.pools[1]
    assert np.allclose(drums.weights, np.array([len(entry.starts) for entry in drums.entries]) / 7)  # 5 and 2
    generator = np.random.default_rng(0)
    starts = np.array([mixer.pools[0].draw(generator, 3 * 4410)[1] for _ in range(200)]) / 4410
    assert 9 <= starts.min() < 9.2 and 14.8 < starts.max() <= 15  # two segments, 9 to 15 s and 12 to 18 s
    levels = [np.abs(mixer._example(np.random.default_rng(seed))[0]).mean(axis=(1, 2)) for seed in range(50)]
    assert np.min(levels) > 0.05


def test_salient_crops_longer_than_a_segment_stay_in_the_track(tmp_path):
    pack = Pack(tmp_path, STEMS, 4410, (halves(tmp_path, "a", ["01"] * 4),), "made")
    mixer = RandomMixer(pack, dataclasses.replace(PLAIN, crop_s=9.0, crops="salient"), STEMS, seed=0)
    generator = np.random.default_rng(0)
    starts = [mixer.pools[0].draw(generator, 9 * 4410)[1] for _ in range(100)]
    assert set(starts) == {9 * 4410, 11 * 4410}
    assert mixer.pools[0].draw(generator, 21 * 4410)[1] == 0


def test_recorded_songs_start_where_any_source_plays(tmp_path):
    pack = Pack(tmp_path, STEMS, 4410, (halves(tmp_path, "a", ["01", "00", "00", "01"]),), "made")
    with pytest.raises(
        ValueError, match="stem 'drums' has no salient segment in all 1 training tracks; .* data.crops=random"
    ):
        RandomMixer(pack, dataclasses.replace(PLAIN, crops="salient"), STEMS, seed=0)
    pack = Pack(tmp_path, STEMS, 4410, (*pack.tracks, halves(tmp_path, "bb", ["11"] * 4)), "made")
    mixer = RandomMixer(pack, dataclasses.replace(PLAIN, crops="salient", remix=0.0), STEMS, seed=0)
    by_name = {entry.track.name: entry.starts for entry in mixer.songs.entries}
    assert by_name["a"] == mixer.pools[0].entries[0].starts


def test_rendered_sources_have_salient_segments_of_their_own(tmp_path):
    tracks = (
        halves(tmp_path, "a", ["11"] * 4),
        halves(tmp_path, "bb", ["00", "01", "11", "11"], rendered=True),
    )
    pack = Pack(tmp_path, STEMS, 4410, tracks, "made")
    config = dataclasses.replace(PLAIN, crop_s=3.0, crops="salient", rendered=1.0)
    mixer = RandomMixer(pack, config, STEMS, seed=0)
    starts = [mixer.rendered_pools[1].draw(np.random.default_rng(seed), 3 * 4410)[1] for seed in range(50)]
    assert min(starts) >= 9 * 4410


def test_silent_stems_are_not_drawn(pack):
    one, two = pack.tracks
    silent = dataclasses.replace(two, silent=(True, False, False, False))
    mixer = RandomMixer(dataclasses.replace(pack, tracks=(one, silent)), PLAIN, STEMS, seed=0)
    assert [entry.track.name for entry in mixer.pools[0].entries] == ["one"]
    mute = dataclasses.replace(one, silent=(True, False, False, False))
    with pytest.raises(ValueError, match="'vocals' is silent in all 2 training tracks"):
        RandomMixer(dataclasses.replace(pack, tracks=(mute, silent)), PLAIN, STEMS, seed=0)


def test_unusable_packs(pack):
    with pytest.raises(ValueError, match="at least one training track, got 0"):
        RandomMixer(dataclasses.replace(pack, tracks=()), PLAIN, STEMS, seed=0)
    with pytest.raises(ValueError, match="asks for guitar too"):
        RandomMixer(pack, PLAIN, ("vocals", "guitar"), seed=0)
