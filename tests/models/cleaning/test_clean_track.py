"""What is left of a track: links, cuts with short fades, silences; the originals untouched."""

import numpy as np
import pytest

from cleaning_scores import STEMS, Listener, score, tone_stems
from conftest import write_track
from models.cleaning.clean import clean_track, silenced, stored_scores
from models.cleaning.decisions import Decision
from models.tracks import open_tracks

HEARD = (0.25, 0.25, 0.25, 0.25)


@pytest.fixture
def track(tmp_path):
    write_track(tmp_path / "songs" / "song", tone_stems(0))
    return open_tracks(tmp_path / "songs", "train")[0]


def decision(stem: str, action: str, label: str, cuts: tuple[int, ...] = ()) -> Decision:
    return Decision(score("song", stem, HEARD, HEARD, HEARD, HEARD), 0.0, action, label, "", cuts)


def test_kept_and_relabelled_stems_are_links_cut_ones_copies_and_the_rest_silence(track, tmp_path):
    folder = tmp_path / "out" / "song"
    folder.mkdir(parents=True)
    decisions = [
        decision("vocals", "keep", "vocals"),
        decision("drums", "relabel", "bass"),
        decision("bass", "drop", ""),
        decision("other", "cut", "other", (1,)),
    ]
    clean_track(track, decisions, 0.5, folder)
    (cleaned,) = open_tracks(tmp_path / "out", "train")
    before, after = track.read_stems(STEMS), cleaned.read_stems(STEMS)
    assert np.array_equal(after["vocals"], before["vocals"]) and np.array_equal(after["bass"], before["drums"])
    assert not after["drums"].any()
    assert not after["other"][:, 22050:44100].any()
    assert np.array_equal(after["other"][:, 44541:], before["other"][:, 44541:])
    assert {path.name: path.is_symlink() for path in folder.iterdir()} == {
        "vocals.wav": True,
        "bass.wav": True,
        "drums.wav": False,
        "other.wav": False,
    }
    assert np.allclose(cleaned.read_mixture(), sum(after.values()), atol=1e-6)


def test_stems_that_the_model_does_not_have_are_kept(track, tmp_path):
    folder = tmp_path / "out" / "song"
    folder.mkdir(parents=True)
    clean_track(track, [decision("vocals", "drop", "")], 0.5, folder)
    assert sorted(path.name for path in folder.iterdir() if path.is_symlink()) == ["bass.wav", "drums.wav", "other.wav"]


def test_fades_lie_outside_of_the_stretch_and_the_last_one_reaches_to_the_end(track):
    audio = np.ones((2, 44100), dtype=np.float32)
    gain = silenced(audio, (1, 3), 10000, 3, track)[0]
    assert not gain[10000:20000].any() and not gain[30000:].any()
    assert (gain[: 10000 - 441] == 1).all() and (gain[20000 + 441 : 30000 - 441] == 1).all()
    assert np.abs(np.diff(gain)).max() < 0.003
    assert not silenced(audio, (0, 1, 2, 3), 10000, 3, track).any()
    assert (audio == 1).all()


def test_scores_are_found_once(track, tmp_path):
    listener = Listener()
    first = stored_scores(listener, track, 0.5, tmp_path)
    assert stored_scores(listener, track, 0.5, tmp_path) == first and listener.calls == 4
    (tmp_path / "scores" / "song.json").write_text("[{}]")
    with pytest.raises(ValueError, match="damaged; delete it"):
        stored_scores(listener, track, 0.5, tmp_path)
