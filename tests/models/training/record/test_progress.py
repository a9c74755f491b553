"""Progress of a run: what was saved comes back, and anything else is refused by name."""

import math
import re

import pytest

from models.training.record.progress import Progress

SOME = Progress(7, 1.5, 1.25, "small@1a2b3c4d", 12.5, 60.0, 3.5, 2, 1, 0, [0.5, 0.25])


@pytest.mark.parametrize("progress", [Progress(), SOME])
def test_a_state_comes_back(progress):
    state = progress.to_state()
    assert Progress.from_state(state) == progress
    state["losses"].append(1.0)
    assert Progress.from_state(state) != progress  # the state holds copies


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": 7.0}, "progress.step: expected a whole number of at least 0, got 7.0"),
        ({"step": True}, "progress.step: expected a whole number of at least 0, got True"),
        ({"step": -1}, "progress.step: expected a whole number of at least 0, got -1"),
        ({"skipped": "3"}, "progress.skipped: expected a whole number of at least 0, got '3'"),
        ({"skips_in_a_row": None}, "progress.skips_in_a_row: expected a whole number of at least 0, got None"),
        ({"stale_validations": []}, "progress.stale_validations: expected a whole number of at least 0, got []"),
        ({"minutes": "1.5"}, "progress.minutes: expected minutes of at least 0, got '1.5'"),
        ({"cpu_minutes": math.nan}, "progress.cpu_minutes: expected minutes of at least 0, got nan"),
        ({"earlier_cpu_minutes": -1.0}, "progress.earlier_cpu_minutes: expected minutes of at least 0, got -1.0"),
        ({"horizon_minutes": math.inf}, "progress.horizon_minutes: expected minutes of at least 0, got inf"),
        ({"began_with": None}, "progress.began_with: expected text, got None"),
        ({"best_sdr": "3.5"}, "progress.best_sdr: expected a number, got '3.5'"),
        ({"losses": 0.5}, "progress.losses: expected a list of numbers, got 0.5"),
        ({"losses": [0.5, "a"]}, "progress.losses: expected a list of numbers, got [0.5, 'a']"),
        ({"epoch": 3, "day": 1}, "progress has day, epoch, which this version does not know"),
        ({7: 3}, "progress has 7, which this version does not know"),
    ],
)
def test_a_state_that_is_none_is_refused(change, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Progress.from_state({**SOME.to_state(), **change})


@pytest.mark.parametrize("name", SOME.to_state())
def test_a_state_that_lacks_a_field_is_refused(name):
    state = SOME.to_state()
    del state[name]
    with pytest.raises(ValueError, match=f"^progress lacks {name}$"):
        Progress.from_state(state)


def test_a_state_is_a_mapping():
    with pytest.raises(ValueError, match=r"^progress: expected a mapping, got \[\]$"):
        Progress.from_state([])


def test_the_best_validation_is_kept_and_those_after_it_are_counted():
    progress = Progress()
    assert [progress.note_validation(score) for score in (1.0, 3.0, 2.0, 3.0, math.nan)] == [True, True, *[False] * 3]
    assert (progress.best_sdr, progress.stale_validations) == (3.0, 3)
