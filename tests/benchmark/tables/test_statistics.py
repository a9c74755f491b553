"""benchmark.tables.statistics: coverage of the intervals, scipy's and Holm's tests, no verdict from few tracks."""

import math

import numpy as np
import pytest

from benchmark.tables.statistics import (
    MIN_TRACKS,
    Comparison,
    aggregate,
    bootstrap_intervals,
    compare,
    holm,
    mean_over_stems,
    signed_rank,
    stem_mean,
)
from models.tracks import STEMS


@pytest.mark.parametrize(("how", "num_tracks"), [("mean", 12), ("mean", 50), ("median", 25)])
def test_intervals_cover_the_truth_in_95_of_100_data_sets(how, num_tracks):
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        ((low, high), _) = bootstrap_intervals(rng.normal(5, 3, size=(1, num_tracks)), how, resamples=400)
        inside += low <= 5 <= high
    assert 0.92 <= inside / 400 <= 0.985


def test_the_last_interval_is_that_of_the_mean_of_the_stems():
    scores = np.random.default_rng(0).normal(size=(4, 30))
    *stems, mean = bootstrap_intervals(scores, "mean")
    assert len(stems) == 4
    (alone, _) = bootstrap_intervals(scores.mean(axis=0, keepdims=True), "mean")
    assert mean == pytest.approx(alone)  # a mean of means: of medians it would differ
    assert mean[1] - mean[0] < min(high - low for low, high in stems)
    assert bootstrap_intervals(scores, "mean") == [*stems, mean]  # the same draws every time
    assert bootstrap_intervals(scores, "mean", averaged=[2])[-1] == stems[2]


def test_an_interval_shrinks_with_the_square_root_of_the_tracks():
    rng = np.random.default_rng(0)
    widths = []
    for num_tracks in (25, 400):
        (interval, _) = bootstrap_intervals(rng.normal(size=(1, num_tracks)), "mean")
        widths.append(interval[1] - interval[0])
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.3)


def test_nan_scores_are_left_out_and_infinite_ones_kept():
    scores = np.array([[1.0, np.nan, 3.0, 5.0], [np.nan] * 4])
    assert aggregate(scores, "mean")[0] == aggregate(scores, "median")[0] == 3
    assert np.isnan(aggregate(scores, "mean")[1])
    many = np.random.default_rng(0).normal(size=(3, 20))
    many[1, 3] = np.nan
    many[2, :15] = np.nan
    one, two, three, mean = bootstrap_intervals(many, "median")
    assert all(math.isfinite(bound) for bound in (*one, *two))
    assert all(math.isnan(bound) for bound in (*three, *mean))  # 5 known scores are too few
    many[2] = np.inf
    assert bootstrap_intervals(many, "median")[2] == (np.inf, np.inf)


def test_few_tracks_have_no_interval_and_no_test():
    scores = {
        name: {f"t{i}": {("vocals", ()): value + i} for i in range(MIN_TRACKS - 1)}
        for name, value in (("a", 9), ("b", 0))
    }
    (comparison,) = compare(scores, "sdr", "mean")
    assert comparison.difference == 9 and comparison.num_tracks == MIN_TRACKS - 1
    assert math.isnan(comparison.low) and math.isnan(comparison.p_holm) and comparison.verdict == "?"
    assert all(math.isnan(bound) for bound in bootstrap_intervals(np.ones((1, MIN_TRACKS - 1)), "mean")[0])


def test_holm_against_a_hand_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, math.nan, 0.5, 0.6])[0] == pytest.approx(0.03)
    assert math.isnan(holm([0.01, math.nan])[1])
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]


def test_signed_rank_by_hand():
    assert signed_rank(np.arange(1.0, 7.0)) == pytest.approx(2 / 2**6)  # all six signs agree
    assert signed_rank(np.zeros(10)) == 1
    assert math.isnan(signed_rank(np.ones(5)))
    assert signed_rank(np.array([-3.0, 1, 2, -4, 5, 6, -7, 8])) > 0.3


def by_track(values, together=()):
    """values: {stem: scores of the tracks}."""
    num_tracks = len(next(iter(values.values())))
    return {
        f"t{index}": {(stem, together): float(scores[index]) for stem, scores in values.items()}
        for index in range(num_tracks)
    }


def test_a_paired_difference_is_found_where_the_tracks_differ_much_more():
    rng = np.random.default_rng(0)
    tracks = rng.normal(0, 10, size=(4, 30))
    change = rng.normal(0, 0.3, size=(4, 30)) + np.array([0.5, 0, 0, 0])[:, None]
    scores = {
        "a": by_track(dict(zip(STEMS, tracks + change, strict=True))),
        "b": by_track(dict(zip(STEMS, tracks, strict=True))),
    }
    mean, vocals, drums, bass, other = compare(scores, "sdr", "mean")
    assert [each.stem for each in (mean, vocals, drums, bass, other)] == ["mean", *STEMS]
    assert vocals.verdict == "better" and 0.3 < vocals.low < 0.5 < vocals.high < 0.8
    assert drums.verdict == "?" and drums.low < 0 < drums.high
    assert mean.difference == pytest.approx(sum(each.difference for each in (vocals, drums, bass, other)) / 4)
    assert vocals.p < vocals.p_holm <= 5 * vocals.p
    swapped = compare({"b": scores["b"], "a": scores["a"]}, "sdr", "mean")[1]
    assert swapped.verdict == "worse" and swapped.difference == pytest.approx(-vocals.difference)


def test_no_difference_is_called_one_in_twenty_times_at_most():
    rng = np.random.default_rng(3)
    called = 0
    for _ in range(25):
        scores = {name: by_track({"vocals": rng.normal(size=15)}) for name in ("a", "b", "c", "d")}
        called += any(comparison.verdict != "?" for comparison in compare(scores, "sdr", "median"))
    assert called <= 4


def test_systems_are_compared_on_common_tracks_and_stems():
    rng = np.random.default_rng(0)
    four = by_track({"vocals": rng.normal(size=9), "drums": rng.normal(size=9)})
    two = by_track({"vocals": rng.normal(size=8), "accompaniment": rng.normal(size=8)})
    two["t0"]["vocals", ()] = math.inf
    (comparison,) = compare({"a": four, "b": two}, "sdr", "mean")
    assert comparison.stem == "vocals" and comparison.num_tracks == 7
    assert compare({"a": four, "b": {}}, "sdr", "mean") == [] == compare({"a": four}, "sdr", "mean")


def test_a_verdict_needs_interval_and_test():
    comparison = Comparison("sdr", "mean", "a", "b", 9, 1.0, 0.5, 1.5, 0.01, 0.04)
    assert comparison.verdict == "better"
    for low, high, p in ((-0.1, 1.5, 0.04), (0.5, 1.5, 0.06), (math.nan, math.nan, math.nan)):
        assert Comparison("sdr", "mean", "a", "b", 9, 1.0, low, high, 0.01, p).verdict == "?"


@pytest.mark.parametrize(("p", "shown"), [(0.04, "0.040"), (0.001, "0.001"), (0.0003, "< 0.001"), (math.nan, "")])
def test_a_small_p_is_not_shown_as_0(p, shown):
    assert Comparison("sdr", "mean", "a", "b", 9, 1.0, 0.5, 1.5, 0.01, p).corrected == shown


def test_only_scores_of_the_same_set_of_stems_are_compared():
    rng = np.random.default_rng(0)
    pair = ("vocals", "accompaniment")
    in_pair = [by_track({stem: rng.normal(size=8) for stem in pair}, pair) for _ in range(3)]
    among_four = [by_track({stem: rng.normal(size=8) for stem in STEMS}, STEMS) for _ in range(2)]
    four = [
        {track: among[track] | pairs[track] for track in among}
        for among, pairs in zip(among_four, in_pair, strict=False)
    ]
    found = compare({"a": four[0], "b": four[1], "two": in_pair[2]}, "csdr", "median")
    stems = {}
    for each in found:
        stems.setdefault((each.first, each.second), []).append((each.stem, each.together))
    joined, in_two = "+".join(STEMS), "vocals+accompaniment"
    assert stems["a", "b"] == [("mean", joined), *((stem, joined) for stem in STEMS), ("accompaniment", in_two)]
    assert stems["a", "two"] == stems["b", "two"] == [(stem, in_two) for stem in pair]
    (vocals, _) = [each for each in found if (each.first, each.second) == ("a", "two")]
    expected = [in_pair[0][track]["vocals", pair] - in_pair[2][track]["vocals", pair] for track in in_pair[0]]
    assert vocals.difference == pytest.approx(np.median(expected))


def test_one_mean_of_stems_for_infinite_and_missing_scores():
    columns = np.array([[1.0, np.inf, np.inf, np.nan], [3.0, 1.0, -np.inf, 1.0]])
    assert str(mean_over_stems(columns).tolist()) == "[2.0, inf, nan, nan]"
    assert np.isnan(mean_over_stems(np.empty((0, 3)))).all()
    assert stem_mean(dict(zip(STEMS, (1.0, 2.0, 3.0, 6.0), strict=True))) == 3
    assert math.isnan(stem_mean({"vocals": 1.0})) and math.isnan(stem_mean({}))
    both = dict(zip(STEMS, (math.inf, -math.inf, 1.0, 1.0), strict=True))
    assert math.isnan(stem_mean(both)) and stem_mean(both | {"drums": 0.0}) == math.inf
    table = np.random.default_rng(0).normal(size=(4, 9))
    table[0], table[1] = np.inf, -np.inf
    assert all(math.isnan(bound) for bound in bootstrap_intervals(table, "median")[-1])
    assert all(math.isnan(bound) for bound in bootstrap_intervals(table, "median", averaged=[])[-1])
