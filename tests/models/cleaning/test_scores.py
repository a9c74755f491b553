"""Scores: shares of what is heard, stretch by stretch; silence says nothing."""

import numpy as np
import pytest

from cleaning_scores import STEMS, Listener, score, tone_stems
from conftest import write_track
from models.cleaning.scores import StemScore, score_track
from models.tracks import open_tracks


def test_a_stem_is_heard_as_what_it_is(tmp_path):
    write_track(tmp_path / "song", tone_stems(0))
    (track,) = open_tracks(tmp_path, "train")
    for one in score_track(Listener(), track, 0.5):
        assert one.heard_as == one.stem and one.share(one.stem) > 0.99 and len(one.energy) == 4
        assert np.allclose(one.stretch_shares(one.stem), 1, atol=0.05)


def test_a_silent_stem_is_not_separated_and_nothing_is_heard(tmp_path):
    stems = tone_stems(0)
    stems["vocals"] = np.zeros_like(stems["vocals"])
    write_track(tmp_path / "song", stems)
    listener = Listener()
    scores = score_track(listener, open_tracks(tmp_path, "train")[0], 0.5)
    assert listener.calls == 3
    assert [one.is_silent for one in scores] == [True, False, False, False]
    assert scores[0].share("vocals") == 0.0 and np.isnan(scores[0].stretch_shares("vocals")).all()


def test_a_track_shorter_than_a_stretch_is_one_and_the_rest_belongs_to_the_last(tmp_path):
    write_track(tmp_path / "song", tone_stems(0, 1.3))
    track = open_tracks(tmp_path, "train")[0]
    assert [len(one.energy) for one in score_track(Listener(), track, 4.0)] == [1] * 4
    (first, *_) = score_track(Listener(), track, 0.5)
    assert len(first.energy) == 2 and first.energy[1] == pytest.approx(1.6 * first.energy[0], rel=0.05)
    assert sum(first.energy) == pytest.approx(np.sum(track.read_stem(first.stem).astype(np.float64) ** 2))


def test_shares_are_over_all_stretches():
    one = score("a", "drums", (0.1, 0.9, 0.0, 0.0), (0.5, 0.1, 0.0, 0.4))
    assert one.share("drums") == pytest.approx(0.5) and one.heard_as == "drums"
    assert np.allclose(one.stretch_shares("drums"), (0.9, 0.1))
    assert score("a", "bass", (0.0, 0.0, 0.0, 0.0)).share("bass") == 0.0


def test_a_stretch_that_can_hardly_be_heard_has_no_share():
    one = StemScore("a", "bass", STEMS, (1.0, 1e-5), ((0, 0, 1, 0), (0, 1e-5, 0, 0)))
    shares = one.stretch_shares("bass")
    assert shares[0] == 1.0 and np.isnan(shares[1])
