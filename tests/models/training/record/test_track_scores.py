"""The scores of each track: written at each validation, whole, and repeated validations replace their rows."""

import pytest

from conftest import SAMPLE_RATE, STEMS, VALID_TRACK, with_train
from models.training.data.packs import prepare_pack
from models.training.loop import train
from models.training.record.track_scores import TRACKS, read_track_scores, write_track_scores


def test_a_run_keeps_the_scores_of_each_track_and_their_mean_is_that_of_its_metrics(hq_root, tmp_path):
    pack = prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)
    rows = []
    train(with_train(steps=4), pack, tmp_path / "run", validations=2, on_validation=rows.append)
    scores = read_track_scores(tmp_path / "run")
    assert list(scores) == [2, 4] and list(scores[4]) == [VALID_TRACK]
    for row in rows:
        track = scores[row["step"]][VALID_TRACK]
        assert track == pytest.approx({"vocals": row["valid_vocals"], "drums": row["valid_drums"]})


def test_a_repeated_validation_replaces_its_rows_and_those_after_it(tmp_path):
    for step, score in ((2, 1.0), (4, 2.0), (2, 3.0)):
        write_track_scores(tmp_path, step, {"a": {"vocals": score}, "b, c": {"drums": -score}})
    assert read_track_scores(tmp_path) == {2: {"a": {"vocals": 3.0}, "b, c": {"drums": -3.0}}}
    assert read_track_scores(tmp_path / "nothing") == {}


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / TRACKS).write_text("step,track,vocals\n2,a,loud\n")
    with pytest.raises(ValueError, match="tracks.csv: expected steps, tracks and SDRs, got a damaged file"):
        read_track_scores(tmp_path)
