"""python -m benchmark scorer-speed: both scorers on the same estimates, and their largest difference."""

import numpy as np
import pytest

from benchmark.__main__ import main
from benchmark.scoring.bsseval import METRICS
from benchmark.timing import scorer_speed
from benchmark.timing.scorer_speed import ScorerTiming, largest_difference_db, render_scorers


@pytest.mark.slow
def test_the_command_times_both_scorers_on_the_same_tracks(hq_root, monkeypatch, capsys):
    seen = []
    original = scorer_speed.museval_frames

    def stand_in(references, estimates, frame_samples):  # museval itself would take most of the tests' time
        if references.shape[0] == 2:
            return original(references, estimates, frame_samples)
        seen.append((references.shape, frame_samples))
        return scorer_speed.bsseval(references, estimates, frame_samples)

    monkeypatch.setattr(scorer_speed, "museval_frames", stand_in)
    arguments = ["scorer-speed", "--data", str(hq_root), "--seconds", "1", "--repeats", "2", "--threads", "1"]
    assert main(arguments) == 0
    table = capsys.readouterr().out
    assert seen == [((4, 2, 44100), 44100)] * 2
    assert "1 threads, 2 runs of each scorer in turns, load" in table
    assert "| Nadir - Slow Tide | 1.0 |" in table and "| median of 1 | 1.0 |" in table and "| 0.0e+00 |" in table


def test_differences_count_where_museval_is_finite():
    theirs = {metric: np.array([[1.0, np.nan, np.inf, 300.0]]) for metric in METRICS}
    ours = {metric: np.array([[1.5, np.nan, 2.0, 250.0]]) for metric in METRICS}
    assert largest_difference_db(ours, theirs) == 0.5
    assert largest_difference_db({metric: values * np.nan for metric, values in ours.items()}, theirs) == np.inf


def test_the_last_row_is_the_medians():
    timings = [ScorerTiming(name, 7, (1.0, 1.0, 9.0), (12.0 * at,) * 3, 1e-7 * at) for at, name in enumerate("abc", 1)]
    assert timings[0].ratio == pytest.approx(12)
    assert "| median of 3 | 7.0 | 24.00 | 1.00 | 24.0 | 3.0e-07 |" in render_scorers(timings, 2)
