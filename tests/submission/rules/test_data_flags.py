"""The data flags and the leaderboard of a submission, from the training data of its checkpoints."""

import pytest

from models.training.data.origin import data_names
from submission.rules.data_flags import check_board, flags, leaderboard
from submissions import INFO


@pytest.mark.parametrize(
    ("data", "began_with", "expected"),
    [
        ("9 tracks, 1.0 minutes, from SDXDB23_LabelNoise", "nothing", "A"),
        ("9 tracks, 1.0 minutes, from moisesdb23_label_noise_v1.0", "nothing", "A"),
        ("9 tracks, 1.0 minutes, from SDXDB23_Bleeding", "nothing", "B"),
        ("9 tracks, 1.0 minutes, from SDXDB23_Bleeding", "other@12345678", "C"),
        ("9 tracks, 1.0 minutes, from labelnoise, bleeding", "nothing", "C"),
        ("9 tracks, 1.0 minutes, from label-noise of musdb18 + more", "nothing", "A"),
        ("9 tracks, 1.0 minutes, from bleeding of musdb18", "nothing", "B"),
        ("9 tracks, 1.0 minutes, from label-noise of bleeding of musdb18", "nothing", "C"),
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


NOISY = {"training_data": "9 tracks, 1 minutes, from label-noise of songs", "began_with": "nothing"}
BLEEDING = {"training_data": "9 tracks, 1 minutes, from bleeding of songs", "began_with": "nothing"}


def test_each_board_takes_its_own_and_c_takes_all():
    check_board("A", {"a": NOISY})
    check_board("B", {"a": BLEEDING})
    check_board("C", {"a": NOISY, "b": BLEEDING, "c": INFO})


@pytest.mark.parametrize(
    ("board", "info", "reason"),
    [
        ("A", INFO, "the label-noise set alone, and b was trained on musdb18-7, music-delta; train others"),
        ("A", BLEEDING, "b was trained on bleeding of songs"),
        ("B", NOISY, "the bleeding set alone, and b was trained on label-noise of songs"),
        ("A", {**NOISY, "began_with": "small@1a2b3c4d"}, "label-noise of songs and began with small@1a2b3c4d"),
    ],
)
def test_a_board_refuses_what_it_forbids(board: str, info: dict, reason: str):
    with pytest.raises(ValueError, match=f"--board {board}: takes weights trained on .*{reason}"):
        check_board(board, {"a": NOISY if board == "A" else BLEEDING, "b": info})
