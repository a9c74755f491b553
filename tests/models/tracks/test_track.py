"""The protocol of a track: what a kind of track has to give, and what it is given."""

from pathlib import Path

import numpy as np
import pytest

from models.tracks import Track

RATE = 8000


def test_a_track_in_memory_needs_four_things():
    class Held(Track):
        stems, sample_rate, num_frames = ("a", "b"), RATE, 4

        def read_stem(self, stem, start=0, frames=-1):
            return np.full((2, 4), len(stem), dtype=np.float32)

    track = Held("held", "test", Path())
    track.check(("a", "b"))
    assert track.files == () and track.duration_s == 4 / RATE and track.read_stems(("a",))["a"].shape == (2, 4)
    with pytest.raises(ValueError, match="track 'held' has no c: expected one of a, b"):
        track.check(("c",))
    with pytest.raises(TypeError, match="abstract"):
        Track("none", "test", Path())
