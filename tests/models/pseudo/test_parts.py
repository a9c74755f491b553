"""Parts of songs: every active segment once, nothing else between them."""

import numpy as np
import pytest

from models.pseudo.parts import cut_into_parts


@pytest.mark.parametrize("seed", range(5))
def test_each_segment_is_in_one_part_and_every_sample_of_a_part_in_a_segment(seed):
    active = np.random.default_rng(seed).random(60) < 0.8
    starts = [3 * int(place) for place in np.flatnonzero(active)]
    parts = cut_into_parts(starts, 6, 30)
    assert [part.start + at for part in parts for at in part.starts] == starts
    for part in parts:
        assert part.starts[0] == 0 and part.stop - part.start <= 30 and part.start + part.starts[-1] + 6 == part.stop
        covered = {part.start + at + sample for at in part.starts for sample in range(6)}
        assert covered == set(range(part.start, part.stop))


def test_a_long_song_is_cut_into_parts_that_overlap_by_half_a_segment():
    parts = cut_into_parts(list(range(0, 57, 3)), 6, 30)
    assert [(part.start, part.stop) for part in parts] == [(0, 30), (27, 57), (54, 60)]


def test_one_segment_is_one_part_and_none_is_none():
    (part,) = cut_into_parts([7], 6, 6)
    assert (part.start, part.stop, part.starts) == (7, 13, (0,))
    assert cut_into_parts([], 6, 30) == []
