"""benchmark.degradations.track: the mixture is degraded, the stems are clean, a change of level is in both."""

import pickle

import numpy as np
import pytest

from benchmark.degradations.degradation import Degradation
from benchmark.degradations.track import DegradedTrack
from models.tracks import STEMS, open_tracks


@pytest.fixture
def track(hq_root):
    return open_tracks(hq_root, "test")[0]


def test_only_the_mixture_is_degraded(track):
    changed = DegradedTrack.of(track, Degradation("noise", -10.0))
    assert (changed.name, changed.split) == (track.name, "test noise=-10") and changed.files == track.files
    assert changed.sample_rate == track.sample_rate and changed.duration_s == track.duration_s
    for stem, audio in changed.read_stems().items():
        np.testing.assert_array_equal(audio, track.read_stem(stem))
    mixture = changed.read_mixture()
    assert not np.array_equal(mixture, track.read_mixture())
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(changed)).read_mixture(), mixture)
    np.testing.assert_array_equal(changed.read_stem("mixture", 1000, 500), mixture[:, 1000:1500])


@pytest.mark.parametrize("degradation", [Degradation("level", -20.0), Degradation("loud", -12.0)])
def test_a_change_of_level_is_in_the_stems(track, degradation):
    changed = DegradedTrack.of(track, degradation)
    mixture, stems = changed.read_mixture(), changed.read_stems()
    gain = np.abs(stems["bass"]).max() / np.abs(track.read_stem("bass")).max()
    for stem in STEMS:
        np.testing.assert_allclose(stems[stem], gain * track.read_stem(stem), atol=1e-6)
    error = mixture - sum(stems.values())
    assert abs(np.vdot(error, track.read_mixture())) < 1e-3 * np.vdot(mixture, mixture)  # what is left is no level
    assert gain == pytest.approx(0.1) if degradation.kind == "level" else gain > 1.1
