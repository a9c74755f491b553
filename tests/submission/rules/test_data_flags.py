"""The data flags and the leaderboard of a submission, from the training data of its checkpoints."""

import pytest

from models.training.origin import data_names
from submission.rules.data_flags import flags, leaderboard
from submissions import INFO


@pytest.mark.parametrize(
    ("data", "began_with", "expected"),
    [
        ("9 tracks, 1.0 minutes, from SDXDB23_LabelNoise", "nothing", "A"),
        ("9 tracks, 1.0 minutes, from moisesdb23_label_noise_v1.0", "nothing", "A"),
        ("9 tracks, 1.0 minutes, from SDXDB23_Bleeding", "nothing", "B"),
        ("9 tracks, 1.0 minutes, from SDXDB23_Bleeding", "other@12345678", "C"),
        ("9 tracks, 1.0 minutes, from labelnoise, bleeding", "nothing", "C"),
        ("9 tracks, 1.0 minutes, from labelnoise, musdb18", "nothing", "C"),
    ],
)
def test_leaderboards_by_training_data(data: str, began_with: str, expected: str):
    assert leaderboard(flags([{"training_data": data, "began_with": began_with}])) == expected


def test_sources_and_flags_of_several_checkpoints():
    assert data_names(INFO) == ["musdb18-7", "music-delta"]
    assert flags([{"training_data": "1, from labelnoise"}, INFO]) == {
        "labelnoise": True,
        "bleeding": False,
        "external_dataset_used": True,
    }
