"""benchmark.tables.report: the tables of each metric, of differences and of costs."""

import io
import math

import pandas

from benchmark.runs.store import Failure
from benchmark.scoring.metrics import METRICS
from benchmark.tables import report
from benchmark.tables.summary import comparisons, comparisons_frame, scores_frame
from benchmark_scores import RESULTS, make_result, many_results
from models.tracks import STEMS


def test_all_nan_frames_leave_a_dash():
    result = make_result("a", "one", (1.0,) * 4, csdr=(math.nan,) * 4, nan_frames=5)
    table = report.render([result], [], "x", 1)
    assert "| A      |      – |     – |    – |     – |    – |" in table and "|     5 of 5 |" in table


def test_each_metric_has_its_own_block(tmp_path):
    failures = [Failure("b", "two", "it broke"), Failure("c", "", "no memory")]
    table = report.write(tmp_path, RESULTS, failures, "music, split test", 3)
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
    assert "| A      |   1.00 |  1.00 | 2.00 |  3.00 | 1.75 |" in csdr and "VOCALS ONLY" not in csdr
    assert "| A      |   4.00 |   8.00 | 5.00 | 6.00 | 7.00 |    2 of 15 |" in others
    assert "**Vocals alone (dB)**" in others and "|        5.00 |       8.00 |       9.00 |" in others
    assert "| VOCALS ONLY [1 of 3 tracks] |   5.00 |     – |    – |     – |    – |" in sdr
    assert "| a           |      0.100 |     0.200 | 0.150 |     2048 |     1.25 M |    3.0 |  1.5 |       2 |" in cost
    assert "ran at once" not in cost
    assert (
        "Measured 2026-01-02 on Abacus (2 cores), device cpu, 2 threads, commit abc1234." in table
        and "music, split test, 3 tracks" in table
    )
    assert "- a: A; weights small@12345678\n" in systems and "- vocals only: VOCALS ONLY" in systems
    assert "only vocals scored" in systems
    assert "- b, two: it broke" in table and "- c, every track left: no memory" in table
    read = pandas.read_csv(io.StringIO((tmp_path / "scores.csv").read_text())).fillna({"together": ""})
    pandas.testing.assert_frame_equal(read, scores_frame(RESULTS))


def test_each_extra_metric_has_a_table_with_its_direction():
    results = many_results("a")
    for index, result in enumerate(results):
        result["scores"]["fullness"] = dict.fromkeys(STEMS, 20.0 + index)
    table = report.render([*results, *many_results("b")], [], "x", 12)
    block = table[table.index("**Fullness, higher is better**: 0 to 100") : table.index("**Differences")]
    assert "| A      | 25.50 [" in block and "| B " not in block and "lower is better" not in table


def test_three_tracks_show_no_interval_and_no_difference():
    table = report.render(RESULTS, [], "x", 3)
    assert "Fewer than 6 tracks: no intervals, and no difference can be significant." in table
    assert "Differences" not in table and "[1" not in table.replace("[1 of 3 tracks]", "")


def test_many_tracks_show_intervals_and_differences(tmp_path):
    results = [*many_results("a", 0.5), *many_results("b"), *many_results("v", 0, stems=("vocals", "accompaniment"))]
    table = report.write(tmp_path, results, [], "x", 12)
    assert "95 % bootstrap intervals over tracks" in table
    (line,) = (line for line in table.splitlines() if line.startswith("| a − b "))
    assert [cell.strip() for cell in line.strip("|").split("|")][1:] == [
        *("+0.50 [0.50, 0.50]", "0.003", "better"),
        *("+0.50 [0.50, 0.50]", "0.002", "better"),  # of fewer: the cSDR of v was not scored among the same stems
    ]
    assert "| a − v (vocals) |" in table and "accompaniment |" in table
    rows = [line for line in table.splitlines() if line.startswith("| A ") and "6.42 [" in line]
    assert [row.count("[") for row in rows] == [5]
    assert all(len(line) < 150 for line in table.splitlines() if line.startswith("|"))
    read = pandas.read_csv(tmp_path / "comparisons.csv").fillna({"together": ""})
    pandas.testing.assert_frame_equal(read, comparisons_frame(comparisons(results, tuple(METRICS))))
    assert len(pandas.read_csv(tmp_path / "summary.csv")) == 7 * (5 + 5 + 2)


def test_systems_of_two_and_of_four_stems_are_in_one_table_as_a_pair():
    five = (*STEMS, "accompaniment")
    results = [*many_results("a", 0.5, stems=five), *many_results("v", 0, stems=("vocals", "accompaniment"))]
    table = report.render(results, [], "x", 12)
    csdr, pair, differences = (table.index(text) for text in ("**cSDR (dB)**", "**Vocals and acc", "**Differences"))
    assert "| A " in table[csdr:pair] and "| V " not in table[csdr:pair]
    in_pair = table[pair:differences]
    assert "| A " in in_pair and "| V " in in_pair and "| vocals SAR |" in in_pair and "scored as a pair" in in_pair
    (line,) = (line for line in table.splitlines() if line.startswith("| a − v (vocals) "))
    assert line.count("+0.50 [0.50, 0.50]") == 2
    mixed = [*many_results("a", 0.5, stems=five), *many_results("v", 0, stems=("vocals",))]
    (line,) = (line for line in report.render(mixed, [], "x", 12).splitlines() if line.startswith("| a − v (vocals) "))
    assert line.count("+0.50 [0.50, 0.50]") == 1 and line.count("–") == 3  # its cSDR is not scored among the same stems


def test_one_perfect_and_one_silent_stem_leave_a_table():
    result = make_result("a", "one", (math.inf, -math.inf, 1.0, 2.0))
    table = report.render([result], [], "x", 1)
    assert "| A      |    inf |  -inf | 1.00 |  2.00 |    – |" in table


def test_the_machine_that_measured_is_printed_and_not_this_one(monkeypatch):
    monkeypatch.setattr("benchmark.provenance.machine.processor", lambda: "the one that prints")
    results = [make_result("a", "one", (1.0,) * 4), make_result("b", "one", (1.0,) * 4, measured={"machine": "Other"})]
    table = report.render(results, [], "x", 1)
    assert "on Abacus (2 cores) and Other, device cpu" in table and "the one that prints" not in table
    assert "- b: B; weights small@12345678; measured on Other\n" in table


def test_times_of_several_jobs_are_marked():
    results = [make_result("a", "one", (1.0,) * 4, measured={"jobs": 3})]
    assert "3 jobs ran at once, which makes times longer" in report.render(results, [], "x", 1)


def test_nothing_measured_still_reports_why():
    table = report.render([], [Failure("b", "", "no memory")], "x", 1)
    assert "Measured nothing" in table and "- b, every track left: no memory" in table
    assert scores_frame([]).empty
