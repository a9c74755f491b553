"""benchmark.summary: aggregation of each metric over tracks and stems, with intervals, and who is compared."""

import math

import numpy as np
import pytest

from benchmark.scoring import score
from benchmark.statistics import bootstrap_intervals
from benchmark.summary import OVER_TRACKS, comparisons, comparisons_frame, scores_frame, summarise, summary_frame
from benchmark_scores import RESULTS, make_result, many_results
from models.tracks import STEMS


def test_every_score_is_summarised():
    noise = np.random.default_rng(0).normal(size=(2, 2, 3000))
    scores = score(noise, noise + 0.1, STEMS[:2], 1000)
    by_stem = {name for name, values in scores.items() if isinstance(values, dict) and name != "frames"}
    assert set(OVER_TRACKS) == by_stem
    assert all(set(scores[name]) == set(STEMS[:2]) for name in by_stem)


def test_global_sdr_is_a_mean_and_csdr_a_median_over_tracks():
    row = summarise(RESULTS[:3])
    assert row["sdr"] == {"vocals": 4.0, "drums": 2.0, "bass": 3.0, "other": 4.0, "mean": 3.25}
    assert row["csdr"] == {"vocals": 1.0, "drums": 1.0, "bass": 2.0, "other": 3.0, "mean": 1.75}
    assert row["sir"] == {"vocals": 6.0, "drums": 5.0, "bass": 6.0, "other": 7.0, "mean": 6.0}
    assert (row["nan_frames"], row["num_frames"]) == (2, 15)
    assert (row["real_time_median"], row["real_time_total"]) == (0.1, pytest.approx(0.2))
    assert row["cpu_total"] == pytest.approx(0.15) and row["jobs"] == 1
    assert row["peak_memory_bytes"] == 2**31


def test_a_stem_that_was_not_separated_has_no_score_and_no_mean():
    row = summarise(RESULTS[3:])
    assert row["sdr"]["vocals"] == 5.0
    assert all(math.isnan(row[metric][stem]) for metric in OVER_TRACKS for stem in ("drums", "mean"))
    five = summarise([make_result("a", "one", (1.0, 2.0, 3.0, 4.0, 50.0), stems=(*STEMS, "accompaniment"))])
    assert five["sdr"]["mean"] == 2.5 and five["sdr"]["accompaniment"] == 50
    two = summarise([make_result("a", "one", (5.0, 11.0), stems=("vocals", "accompaniment"))])
    assert two["sdr"]["accompaniment"] == 11 and math.isnan(two["sdr"]["mean"])


def test_intervals_are_those_of_the_bootstrap():
    results = many_results("a")
    row = summarise(results)
    table = np.array([[result["scores"]["csdr"][stem] for result in results] for stem in STEMS])
    with_more = summarise([*many_results("a", stems=(*STEMS, "accompaniment"))])
    assert with_more["intervals"]["csdr"]["mean"] == row["intervals"]["csdr"]["mean"]
    assert list(row["intervals"]["csdr"].values()) == bootstrap_intervals(table, "median")
    assert list(row["intervals"]["csdr"]) == [*STEMS, "mean"]
    frame = summary_frame([row]).set_index(["metric", "stem"])
    assert tuple(frame.loc[("csdr", "mean"), ["low", "high"]]) == row["intervals"]["csdr"]["mean"]
    assert frame.loc[("sdr", "vocals"), "over_tracks"] == "mean" and len(frame) == len(OVER_TRACKS) * 5
    assert all(math.isnan(bound) for bound in summarise(results[:3])["intervals"]["sdr"]["mean"])


def test_scores_are_tidy():
    frame = scores_frame(RESULTS)
    assert list(frame.columns) == ["system", "track", "stem", "metric", "value"]
    assert len(frame) == 3 * (6 * 4 + 2) + 6 + 2
    assert not frame.duplicated(["system", "track", "stem", "metric"]).any()
    sdr = frame[(frame.system == "a") & (frame.metric == "sdr")].groupby("stem").value.mean()
    assert sdr["vocals"] == 4.0
    csdr = frame[(frame.system == "a") & (frame.metric == "csdr")].groupby("stem").value.median()
    assert csdr["drums"] == 1.0  # pandas leaves the NaN out, as the table does
    assert frame[frame.metric == "nan_frames"].value.sum() == 2


def test_systems_are_compared_and_bounds_are_not():
    shifts = {"mixture": -9, "a": 0.5, "b": 0, "oracle:ibm": 9}
    results = [result for name, shift in shifts.items() for result in many_results(name, shift)]
    found = comparisons(results)
    assert {(comparison.first, comparison.second) for comparison in found} == {("a", "b")}
    assert {(comparison.metric, comparison.stem) for comparison in found} == {
        (metric, stem) for metric in ("sdr", "csdr") for stem in ("mean", *STEMS)
    }
    assert all(comparison.verdict == "better" and comparison.difference == pytest.approx(0.5) for comparison in found)
    frame = comparisons_frame(found)
    assert len(frame) == 10 and set(frame.verdict) == {"better"} and {"p_holm", "low", "high"} <= set(frame.columns)
    assert comparisons_frame([]).empty and summary_frame([]).empty
