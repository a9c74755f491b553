"""benchmark.report: aggregation of each metric, and what the tables say."""

import io
import math

import pandas
import pytest

from benchmark import report
from benchmark.results import Failure, Settings
from models.tracks import STEMS

SETTINGS = Settings("cpu", 2)


def make_result(system, track, values, csdr=None, nan_frames=0, **changes):
    """`values`: the SDR of each stem it has."""
    stems = STEMS[: len(values)]
    scores = {
        "stems": list(stems),
        "sdr": dict(zip(stems, values, strict=True)),
        "csdr": dict(zip(stems, csdr or values, strict=True)),
        "num_frames": 5,
        "nan_frames": nan_frames,
    }
    result = {
        "key": {"system": system, "track": track},
        "row": {"label": system.upper(), "parameters": 1_250_000, "checkpoint": "small@12345678", "note": ""},
        "scores": scores,
        "duration_s": 10.0,
        "separate_s": 1.0,
        "score_s": 0.1,
        "peak_memory_bytes": 2**30,
        "load_1min": 1.5,
        "date": "2026-01-02T03:04:05+00:00",
    }
    return result | changes


RESULTS = [
    make_result("a", "one", (1.0, 2.0, 3.0, 4.0), csdr=(0.0, 1.0, 2.0, 3.0)),
    make_result("a", "two", (3.0, 2.0, 3.0, 4.0), csdr=(8.0, 1.0, 2.0, 3.0), nan_frames=2, separate_s=4.0),
    make_result("a", "three", (8.0, 2.0, 3.0, 4.0), csdr=(1.0, math.nan, 2.0, 3.0), peak_memory_bytes=2**31),
    make_result("vocals only", "one", (5.0,)),
]


def test_global_sdr_is_a_mean_and_csdr_a_median_over_tracks():
    row = report.summarise(RESULTS[:3])
    assert row["sdr"] == {"vocals": 4.0, "drums": 2.0, "bass": 3.0, "other": 4.0, "mean": 3.25}
    assert row["csdr"] == {"vocals": 1.0, "drums": 1.0, "bass": 2.0, "other": 3.0, "mean": 1.75}
    assert (row["nan_frames"], row["num_frames"]) == (2, 15)
    assert (row["real_time_median"], row["real_time_total"]) == (0.1, pytest.approx(0.2))
    assert row["peak_memory_bytes"] == 2**31


def test_a_stem_that_was_not_separated_has_no_score_and_no_mean():
    row = report.summarise(RESULTS[3:])
    assert row["sdr"]["vocals"] == 5.0
    assert all(math.isnan(row[metric][stem]) for metric in ("sdr", "csdr") for stem in ("drums", "mean"))


def test_all_nan_frames_leave_a_dash():
    result = make_result("a", "one", (1.0,) * 4, csdr=(math.nan,) * 4, nan_frames=5)
    assert "| A      |      – |     – |    – |     – |    – |     5 of 5 |" in report.render(
        [result], [], "x", 1, SETTINGS
    )


def test_scores_are_tidy():
    frame = report.scores_frame(RESULTS)
    assert list(frame.columns) == ["system", "track", "stem", "metric", "value"]
    assert len(frame) == 3 * 10 + 4
    assert not frame.duplicated(["system", "track", "stem", "metric"]).any()
    sdr = frame[(frame.system == "a") & (frame.metric == "sdr")].groupby("stem").value.mean()
    assert sdr["vocals"] == 4.0
    csdr = frame[(frame.system == "a") & (frame.metric == "csdr")].groupby("stem").value.median()
    assert csdr["drums"] == 1.0  # pandas leaves the NaN out, as the table does
    assert frame[frame.metric == "nan_frames"].value.sum() == 2


def test_the_metrics_stand_in_blocks_of_their_own(tmp_path):
    failures = [Failure("b", "two", "it broke"), Failure("c", "", "no memory")]
    table = report.write(tmp_path, RESULTS, failures, "music, split test", 3, SETTINGS)
    assert table == (tmp_path / "table.md").read_text()
    order = [table.index(text) for text in ("**Global SDR (dB)**", "**cSDR (dB)**", "**Cost**", "**Failed**")]
    assert order == sorted(order)
    sdr, csdr, cost = (table[start:end] for start, end in zip(order[:3], order[1:], strict=True))
    assert "| A                           |   4.00 |  2.00 | 3.00 |  4.00 | 3.25 |" in sdr
    assert "| A                           |   1.00 |  1.00 | 2.00 |  3.00 | 1.75 |    2 of 15 |" in csdr
    assert "| VOCALS ONLY [1 of 3 tracks] |   5.00 |     – |    – |     – |    – |" in sdr
    for text in ("0.100", "0.200", "2048", "1.25 M", "small@12345678", "6.0", "0.3"):
        assert f" {text} " in cost
    assert "2 threads" in table and "2026-01-02" in table and "music, split test, 3 tracks" in table
    assert "VOCALS ONLY: only vocals scored" in table
    assert "- b, two: it broke" in table and "- c, every track left: no memory" in table
    read = pandas.read_csv(io.StringIO((tmp_path / "scores.csv").read_text()))
    pandas.testing.assert_frame_equal(read, report.scores_frame(RESULTS))


def test_nothing_measured_still_reports_why():
    table = report.render([], [Failure("b", "", "no memory")], "x", 1, SETTINGS)
    assert "Measured nothing" in table and "- b, every track left: no memory" in table
    assert report.scores_frame([]).empty
