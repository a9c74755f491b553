"""benchmark.tables.summary: aggregation of each metric over tracks and stems, with intervals, and the comparisons."""

import math

import numpy as np
import pytest

from benchmark.scoring.metrics import EXTRA
from benchmark.scoring.scores import score
from benchmark.tables.statistics import bootstrap_intervals
from benchmark.tables.summary import (
    OVER_TRACKS,
    comparisons,
    comparisons_frame,
    interval_of,
    measured_on,
    score_of,
    scores_frame,
    sets_of,
    summarise,
    summary_frame,
)
from benchmark_scores import RESULTS, make_result, many_results
from models.tracks import STEMS


def test_every_score_is_summarised():
    noise = np.random.default_rng(0).normal(size=(2, 2, 3000))
    scores = score(noise, noise + 0.1, STEMS[:2], 1000)
    by_stem = {name for name, values in scores.items() if isinstance(values, dict) and name != "frames"}
    assert set(OVER_TRACKS) == by_stem | set(EXTRA)
    assert all(set(scores[name]) == set(STEMS[:2]) for name in by_stem)


def test_global_sdr_is_a_mean_and_csdr_a_median_over_tracks():
    row = summarise(RESULTS[:3])
    assert row["scores"][()]["sdr"] == {"vocals": 4.0, "drums": 2.0, "bass": 3.0, "other": 4.0, "mean": 3.25}
    assert row["scores"][STEMS]["csdr"] == {"vocals": 1.0, "drums": 1.0, "bass": 2.0, "other": 3.0, "mean": 1.75}
    assert row["scores"][STEMS]["sir"] == {"vocals": 6.0, "drums": 5.0, "bass": 6.0, "other": 7.0, "mean": 6.0}
    assert row["frames"] == {STEMS: (2, 15)}
    assert (row["real_time_median"], row["real_time_total"]) == (0.1, pytest.approx(0.2))
    assert row["cpu_total"] == pytest.approx(0.15) and row["jobs"] == 1
    assert row["peak_memory_bytes"] == 2**31


def test_a_stem_that_was_not_separated_has_no_score_and_no_mean():
    row = summarise(RESULTS[3:])
    assert score_of(row, "sdr", "vocals") == 5.0
    assert all(math.isnan(score_of(row, metric, stem)) for metric in OVER_TRACKS for stem in ("drums", "mean"))
    five = summarise([make_result("a", "one", (1.0, 2.0, 3.0, 4.0, 50.0), stems=(*STEMS, "accompaniment"))])
    assert score_of(five, "sdr", "mean") == 2.5 and score_of(five, "sdr", "accompaniment") == 50
    two = summarise([make_result("a", "one", (5.0, 11.0), stems=("vocals", "accompaniment"))])
    assert score_of(two, "sdr", "accompaniment") == 11 and math.isnan(score_of(two, "sdr", "mean"))
    assert sets_of([two, row, five]) == [STEMS, ("vocals", "accompaniment"), ("vocals",)]


def test_one_perfect_and_one_silent_stem_have_no_mean():
    results = [make_result("a", f"{index}", (math.inf, -math.inf, 3.0, 4.0)) for index in range(7)]
    row = summarise(results)
    assert score_of(row, "si_sdr", "vocals") == math.inf and score_of(row, "si_sdr", "drums") == -math.inf
    assert math.isnan(score_of(row, "si_sdr", "mean"))
    assert all(math.isnan(bound) for bound in interval_of(row, "si_sdr", "mean"))
    found = comparisons([*results, *many_results("b", num_tracks=7)])
    assert all(each.num_tracks == 0 for each in found if each.stem in ("vocals", "drums", "mean"))


def scored_too(results, metric, values):
    """The results with a metric of EXTRA, the same value for all stems."""
    changed = []
    for result, value in zip(results, values, strict=True):
        scores = result["scores"] | {metric: dict.fromkeys(STEMS, value)}
        changed.append(result | {"scores": scores})
    return changed


def test_an_extra_metric_has_a_row_with_unit_and_direction_and_is_compared():
    shifted = [5 + 1.3 * index + 0.01 * index**2 for index in range(12)]
    one = scored_too(many_results("a"), "mrstft", [2 + 0.1 * index for index in range(12)])
    two = scored_too(many_results("b"), "mrstft", shifted)
    row = summarise(one)
    assert score_of(row, "mrstft", "mean") == pytest.approx(2.55)
    frame = summary_frame([row]).set_index(["metric", "stem"])
    line = frame.loc[("mrstft", "mean")]
    assert (line["unit"], line["direction"], line["over_tracks"]) == ("", "lower is better", "median")
    assert line["low"] < 2.55 < line["high"] and frame.loc[("sdr", "mean"), "unit"] == "dB"
    found = comparisons([*one, *two], ("mrstft",))
    assert found[0].stem == "mean" and found[0].difference < -3 and found[0].verdict == "better"
    assert {each.metric for each in comparisons([*one, *two])} == {"sdr", "csdr"}
    partly = [*one[:-1], many_results("a")[-1]]  # a metric that some tracks lack is no figure of all
    assert math.isnan(score_of(summarise(partly), "mrstft", "mean"))


def test_intervals_are_those_of_the_bootstrap():
    results = many_results("a")
    row = summarise(results)
    table = np.array([[result["scores"]["together"][0]["csdr"][stem] for result in results] for stem in STEMS])
    with_more = summarise([*many_results("a", stems=(*STEMS, "accompaniment"))])
    assert interval_of(with_more, "csdr", "mean", STEMS) == interval_of(row, "csdr", "mean", STEMS)
    assert list(row["intervals"][STEMS]["csdr"].values()) == bootstrap_intervals(table, "median")
    assert list(row["intervals"][STEMS]["csdr"]) == [*STEMS, "mean"]
    frame = summary_frame([row]).set_index(["metric", "stem"])
    assert tuple(frame.loc[("csdr", "mean"), ["low", "high"]]) == interval_of(row, "csdr", "mean", STEMS)
    assert frame.loc[("csdr", "mean"), "together"] == "+".join(STEMS) and frame.loc[("sdr", "mean"), "together"] == ""
    assert frame.loc[("sdr", "vocals"), "over_tracks"] == "mean" and len(frame) == 7 * 5
    assert all(math.isnan(bound) for bound in interval_of(summarise(results[:3]), "sdr", "mean"))


def test_scores_are_tidy():
    frame = scores_frame([*RESULTS, make_result("a", "one", (1.0,) * 4, split="train")])
    assert list(frame.columns) == ["system", "split", "track", "together", "stem", "metric", "value"]
    assert len(frame) == 4 * (7 * 4 + 2) + 7 + 2
    assert not frame.duplicated(["system", "split", "track", "together", "stem", "metric"]).any()
    frame = frame[frame.split == "test"]
    sdr = frame[(frame.system == "a") & (frame.metric == "sdr")].groupby("stem").value.mean()
    assert sdr["vocals"] == 4.0
    csdr = frame[(frame.system == "a") & (frame.metric == "csdr")].groupby("stem").value.median()
    assert csdr["drums"] == 1.0  # pandas leaves the NaN out, as the table does
    assert frame[frame.metric == "nan_frames"].value.sum() == 2
    both = scores_frame(many_results("a", num_tracks=1, stems=(*STEMS, "accompaniment")))
    vocals = both[both.stem == "vocals"]
    assert set(vocals[vocals.metric == "sar"].together) == {"+".join(STEMS), "vocals+accompaniment"}
    assert list(vocals[vocals.metric == "sdr"].together) == [""]


def test_the_machines_that_measured_are_named():
    changes = [{"machine": "A", "threads": 1}, {"machine": "B", "threads": 4, "commit": ""}]
    rows = [summarise([make_result("a", "one", (1.0,), measured=change)]) for change in changes]
    assert measured_on(rows) == "A and B, device cpu, 1 and 4 threads, commit abc1234"
    assert measured_on(rows[:1]) == "A, device cpu, 1 thread, commit abc1234"


def test_systems_are_compared_and_bounds_are_not():
    systems = {"low": (-9, "bound"), "oracle:mine": (0.5, "peer"), "mixture:b": (0, "ours"), "high": (9, "bound")}
    results = [result for name, (shift, role) in systems.items() for result in many_results(name, shift, role=role)]
    found = comparisons(results)  # roles are said by the systems, whatever their names are
    assert {(comparison.first, comparison.second) for comparison in found} == {("oracle:mine", "mixture:b")}
    assert {(comparison.metric, comparison.stem) for comparison in found} == {
        (metric, stem) for metric in ("sdr", "csdr") for stem in ("mean", *STEMS)
    }
    assert all(comparison.verdict == "better" and comparison.difference == pytest.approx(0.5) for comparison in found)
    frame = comparisons_frame(found)
    assert len(frame) == 10 and set(frame.verdict) == {"better"} and {"p_holm", "low", "high"} <= set(frame.columns)
    assert comparisons_frame([]).empty and summary_frame([]).empty
