"""What is drawn from labelled parts: clean material is the mixture itself, and everything sums to what it should."""

import numpy as np
import pytest

from models.pseudo.material import count_labels, more_music
from models.pseudo.pool import LabelledPart
from models.training.data.packs import PackedTrack

SOURCES = ("vocals", "drums", "bass", "other")
LENGTH, SEGMENT = 40, 10
LABELS = {"vocals": ("mixed", "absent", "alone"), "drums": ("mixed", "mixed", "absent")}


def made_part(tmp_path, stems, labels=None):
    """A part of three segments whose rows are noise; the rows [M + 1, 2, T] too."""
    rows = np.random.default_rng(0).integers(-1000, 1000, (len(stems) + 1, 2, LENGTH)).astype(np.int16)
    np.save(tmp_path / "part.npy", rows)
    track = PackedTrack("song", "train", tmp_path / "part.npy", 0.5, (False,) * len(rows))
    labels = labels or {stem: LABELS.get(stem, ("mixed",) * 3) for stem in stems}
    return LabelledPart(track, (0, 10, 20), SEGMENT, labels), 0.5 * rows


def read(track, source):
    return track.read(source, (0, 1), 0, LENGTH)


@pytest.mark.parametrize("stems", [SOURCES, ("vocals", "drums"), ("drums", "vocals"), ("vocals",)])
def test_rows_of_each_kind(tmp_path, stems):
    part, rows = made_part(tmp_path, stems)
    mixture, by_stem = rows.sum(axis=0), dict(zip(stems, rows, strict=False))
    more = more_music([part], stems, SOURCES, 0.5)
    assert more.share == 0.5 and set(more.stems) == set(more.rests) == {SOURCES.index(stem) for stem in stems}
    mixed, alone = more.stems[0].entries
    assert (mixed.starts, alone.starts, mixed.length) == ((0,), (20,), SEGMENT)
    assert np.allclose(read(mixed.track, 0), by_stem["vocals"]) and np.allclose(read(alone.track, 0), mixture)
    assert mixed.track.silent == alone.track.silent == (False, True, True, True)
    absent, rest = sorted(more.rests[0].entries, key=lambda entry: -entry.starts[0])
    assert (absent.starts, rest.starts) == ((10,), (0,))
    for entry, total in ((absent, mixture), (rest, mixture - by_stem["vocals"])):
        parts = [read(entry.track, source) for source in range(4)]
        assert np.allclose(sum(parts), total, atol=1e-3)
        assert entry.track.silent[0] and not parts[0].any()


def test_what_the_estimates_leave_is_shared_out_or_is_a_source_of_its_own(tmp_path):
    part, rows = made_part(tmp_path, SOURCES)
    (entry,) = [one for one in more_music([part], SOURCES, SOURCES, 0.5).rests[0].entries if one.starts == (0,)]
    for source in (1, 2, 3):
        assert np.allclose(read(entry.track, source), rows[source] + rows[4] / 3, atol=1e-3)
    part, rows = made_part(tmp_path, ("vocals", "drums"))
    (entry,) = [
        one for one in more_music([part], ("vocals", "drums"), SOURCES, 1).rests[0].entries if one.starts == (0,)
    ]
    assert np.allclose(read(entry.track, 1), rows[1]) and np.allclose(read(entry.track, 2), rows[2])
    assert entry.track.silent == (True, False, False, True)


def test_a_stem_that_no_song_has_is_drawn_from_the_pack(tmp_path):
    part, _ = made_part(tmp_path, ("vocals",), {"vocals": ("absent",) * 3})
    more = more_music([part], ("vocals",), SOURCES, 0.5)
    assert more.stems == {} and len(more.rests[0].entries) == 1
    part, _ = made_part(tmp_path, ("vocals",), {"vocals": ("alone",) * 3})
    assert more_music([part], ("vocals",), SOURCES, 0.5).rests == {}


def test_a_network_of_one_source_has_no_rest(tmp_path):
    part, _ = made_part(tmp_path, ("vocals",))
    more = more_music([part], ("vocals",), ("vocals",), 0.5)
    assert more.rests == {} and list(more.stems) == [0]


def test_every_segment_is_as_likely(tmp_path):
    part, _ = made_part(tmp_path, SOURCES, {stem: ("mixed", "mixed", "alone") for stem in SOURCES})
    assert more_music([part], SOURCES, SOURCES, 0.5).stems[0].weights == pytest.approx([2 / 3, 1 / 3])


def test_labels_are_counted(tmp_path):
    part, _ = made_part(tmp_path, ("vocals", "drums"))
    assert count_labels([part], ("vocals", "drums")) == "vocals 1 mixed, 1 absent, 1 alone; drums 2 mixed, 1 absent"
