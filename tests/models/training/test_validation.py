"""Validation: which stems get a score, and tracks that can give none."""

import math

import numpy as np
import pytest

from conftest import SAMPLE_RATE, STEMS, TINY
from models.training import validation
from models.training.data.packs import Pack, prepare_pack
from models.training.loop import train
from models.training.validation import mean_over_tracks, sounding_stems, track_sdr, validation_sdr
from models.training.world import World


@pytest.fixture
def pack(hq_root, tmp_path):
    return prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)


def silence(pack, stems, span=slice(None)):
    """Make stems of the validation track silent."""
    (track,) = pack.split("valid")
    audio = track.audio().copy()
    audio[[STEMS.index(stem) for stem in stems], :, span] = 0
    np.save(track.path, audio)


def test_a_silent_stem_does_not_count_in_validation(pack):
    silence(pack, ["drums"])
    scores = validation_sdr(TINY.build_network(), pack, TINY.separate, World())
    assert set(scores) == {"vocals"} and math.isfinite(scores["vocals"])


def test_two_tracks_of_one_name_both_count(pack):
    (track,) = pack.split("valid")
    twice = Pack(**{**vars(pack), "tracks": [*pack.tracks, track]})
    scores = track_sdr(TINY.build_network(), twice, TINY.separate, World())
    assert list(scores) == [track.name, f"{track.name} (2)"]


def test_a_stem_is_averaged_over_the_tracks_in_which_it_plays():
    scores = {"a": {"vocals": 1.0, "drums": 4.0}, "b": {"vocals": 3.0}}
    assert mean_over_tracks(scores) == {"vocals": 2.0, "drums": 4.0}


def test_silent_validation_tracks_are_said_before_anything_is_trained(pack, tmp_path):
    silence(pack, ["vocals", "drums"])
    with pytest.raises(ValueError, match="a validation track in which vocals or drums plays, got 1 that are silent"):
        train(TINY, pack, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_stem_plays_if_it_does_in_the_part_that_is_validated(pack, monkeypatch):
    silence(pack, ["drums"], slice(SAMPLE_RATE, 2 * SAMPLE_RATE))  # the middle of three seconds
    assert sounding_stems(pack, STEMS) == STEMS
    monkeypatch.setattr(validation, "EXCERPT_S", 1.0)
    assert sounding_stems(pack, STEMS) == ("vocals", "bass", "other")
    assert set(validation_sdr(TINY.build_network(), pack, TINY.separate, World())) == {"vocals"}


@pytest.mark.parametrize("metric", ["drums", "bass"])
def test_a_metric_without_a_score_is_said_before_anything_is_trained(pack, tmp_path, metric):
    silence(pack, ["drums"])
    with pytest.raises(ValueError, match=f"--metric: no validation track has {metric}; expected mean or vocals"):
        train(TINY, pack, tmp_path / "run", metric=metric)
