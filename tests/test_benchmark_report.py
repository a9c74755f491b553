"""benchmark.report: what the tables say of each metric, of differences and of the cost."""

import io
import math

import pandas

from benchmark import report
from benchmark.results import Failure
from benchmark.settings import Settings
from benchmark.summary import comparisons, comparisons_frame, scores_frame
from benchmark_scores import RESULTS, make_result, many_results

SETTINGS = Settings("cpu", 2)


def test_all_nan_frames_leave_a_dash():
    result = make_result("a", "one", (1.0,) * 4, csdr=(math.nan,) * 4, nan_frames=5)
    table = report.render([result], [], "x", 1, SETTINGS)
    assert "| A      |      – |     – |    – |     – |    – |" in table and "|     5 of 5 |" in table


def test_the_metrics_stand_in_blocks_of_their_own(tmp_path):
    failures = [Failure("b", "two", "it broke"), Failure("c", "", "no memory")]
    table = report.write(tmp_path, RESULTS, failures, "music, split test", 3, SETTINGS)
    assert table == (tmp_path / "table.md").read_text()
    titles = (
        "**Global SDR (dB)**",
        "**cSDR (dB)**",
        "**Mean of the four stems (dB)**",
        "**Cost**",
        "Systems:",
        "**Failed**",
    )
    order = [table.index(text) for text in titles]
    assert order == sorted(order)
    sdr, csdr, others, cost, systems = (table[start:end] for start, end in zip(order[:-1], order[1:], strict=True))
    assert "| A                           |   4.00 |  2.00 | 3.00 |  4.00 | 3.25 |" in sdr
    assert "| A                           |   1.00 |  1.00 | 2.00 |  3.00 | 1.75 |" in csdr
    assert "| A                           |   4.00 | 5.00 | 6.00 | 7.00 |    2 of 15 |" in others
    assert "| VOCALS ONLY [1 of 3 tracks] |   5.00 |     – |    – |     – |    – |" in sdr
    assert "| a           |      0.100 |     0.200 | 0.150 |     2048 |     1.25 M |    3.0 |  1.5 |" in cost
    assert "ran at once" not in cost
    assert "2 threads" in table and "2026-01-02" in table and "music, split test, 3 tracks" in table
    assert "- a: A; weights small@12345678\n" in systems and "- vocals only: VOCALS ONLY" in systems
    assert "only vocals scored" in systems
    assert "- b, two: it broke" in table and "- c, every track left: no memory" in table
    read = pandas.read_csv(io.StringIO((tmp_path / "scores.csv").read_text()))
    pandas.testing.assert_frame_equal(read, scores_frame(RESULTS))


def test_three_tracks_show_no_interval_and_no_difference():
    table = report.render(RESULTS, [], "x", 3, SETTINGS)
    assert "Fewer than 6 tracks: no intervals, and no system can be called better." in table
    assert "Differences" not in table and "[1" not in table.replace("[1 of 3 tracks]", "")


def test_many_tracks_show_intervals_and_differences(tmp_path):
    results = [*many_results("a", 0.5), *many_results("b"), *many_results("v", 0, stems=("vocals", "accompaniment"))]
    table = report.write(tmp_path, results, [], "x", 12, SETTINGS)
    assert "95 % bootstrap intervals over tracks" in table
    (line,) = (line for line in table.splitlines() if line.startswith("| a − b "))
    assert [cell.strip() for cell in line.strip("|").split("|")][1:] == ["+0.50 [0.50, 0.50]", "0.003", "better"] * 2
    assert "| a − v (vocals) |" in table and "accompaniment |" in table
    (row,) = (line for line in table.splitlines() if line.startswith("| A ") and "6.42 [" in line)
    assert row.count("[") == 5
    assert all(len(line) < 150 for line in table.splitlines() if line.startswith("|"))
    read = pandas.read_csv(tmp_path / "comparisons.csv")
    pandas.testing.assert_frame_equal(read, comparisons_frame(comparisons(results)))
    assert len(pandas.read_csv(tmp_path / "summary.csv")) == 6 * (5 + 5 + 6)


def test_times_of_several_jobs_are_said_to_be_so():
    results = [make_result("a", "one", (1.0,) * 4, jobs=3)]
    assert "3 ran at once: times are longer" in report.render(results, [], "x", 1, SETTINGS)


def test_nothing_measured_still_reports_why():
    table = report.render([], [Failure("b", "", "no memory")], "x", 1, SETTINGS)
    assert "Measured nothing" in table and "- b, every track left: no memory" in table
    assert scores_frame([]).empty
