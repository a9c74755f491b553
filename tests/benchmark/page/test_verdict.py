"""The report's first words: which system won, by how much, whether it is sure, and the forest plot beside them."""

import re
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from benchmark.page.contents import Contents, System, colors_of
from benchmark.page.forest import forest_plot, forest_section
from benchmark.page.verdict import sentences, verdict_of
from benchmark.provenance.weights import BOUND_ROLE, OURS_ROLE, PEER_ROLE
from benchmark.runs.record import Record
from benchmark.tables.summary import summarise
from benchmark_scores import make_result, many_results


def contents_of(results, data="music, split test"):
    grouped = [list(group) for _, group in groupby(results, key=lambda result: result["key"]["system"])]
    rows = [summarise(group) for group in grouped]
    colors = colors_of([row["role"] for row in rows])
    systems = tuple(
        System(
            row["system"],
            row["label"],
            row["label"],
            "",
            row["role"],
            color,
            row,
            {r["key"]["track"]: r for r in group},
        )
        for row, color, group in zip(rows, colors, grouped, strict=True)
    )
    return Contents(Path("out"), Record(data, tuple(result["key"] for result in results)), systems)


def noisy(system, shift, spread, num_tracks=12, seed=1):
    """Results whose differences to those of `many_results` are `shift`, and spread by the tracks."""
    noise = np.random.default_rng(seed).normal(scale=spread, size=num_tracks)
    base = many_results(system, 0.0, num_tracks)
    values = [
        [value + shift + noise[index] for value in each["scores"]["sdr"].values()] for index, each in enumerate(base)
    ]
    return [make_result(system, f"track {index}", values[index]) for index in range(num_tracks)]


def words(contents):
    return sentences(verdict_of(contents), contents)


def test_a_clear_winner_is_sure():
    contents = contents_of(
        [*many_results("peer"), *many_results("ours", 0.7, role=OURS_ROLE), *noisy("third", -1, 0.1)]
    )
    verdict = verdict_of(contents)
    assert verdict.winner.name == "ours" and [found.other.name for found in verdict.differences] == ["peer", "third"]
    mean = verdict.winner.score("sdr", "mean")
    first, second, *_ = words(contents)
    assert first.startswith(
        f"Of 3 systems on 12 tracks of music, split test, OURS is best with a global SDR of {mean:.2f} dB, mean of the"
        " four stems: 0.70 dB above PEER, the second. This is sure (95 % interval 0.70 to 0.70 dB, p "
    )
    assert second == "It is surely better than all 2 others."


def test_a_difference_that_may_be_chance_is_not_sure():
    contents = contents_of([*many_results("peer"), *noisy("mine", 0.05, 0.8), *noisy("third", -3, 0.1)])
    verdict, lines = verdict_of(contents), words(contents)
    nearest = verdict.differences[0]
    assert not nearest.is_sure and nearest.low < 0 < nearest.high
    assert "This is not sure: it may be chance (95 % interval " in lines[0] and "p = " in lines[0]
    assert lines[1] == f"It is surely better than 1 of the 2 others; not sure: {nearest.other.short}."


def test_few_tracks_one_system_and_bounds_alone_decide_nothing():
    few = contents_of([*many_results("a", num_tracks=4), *many_results("b", 1.0, num_tracks=4)])
    assert "B is best" in words(few)[0] and words(few)[0].endswith("not sure: fewer than 6 tracks cannot show it.")
    alone = contents_of([*many_results("mixture", role=BOUND_ROLE), *many_results("a", 1.0)])
    assert words(alone)[0].endswith("no other system was ranked, so nothing has won.")
    assert forest_section(verdict_of(alone), alone) == ""
    assert verdict_of(contents_of(many_results("mixture", role=BOUND_ROLE))) is None


def test_a_system_of_two_stems_that_is_better_is_not_hidden():
    values = [result["scores"]["sdr"]["vocals"] + 2 for result in many_results("four")]
    two = [make_result("two", f"track {index}", (value + 0.01 * (index % 3),)) for index, value in enumerate(values)]
    contents = contents_of([*many_results("four"), *many_results("five", 0.5), *two])
    verdict = verdict_of(contents)
    assert verdict.winner.name == "five" and [found.other.name for found in verdict.unranked] == ["two"]
    (line,) = [line for line in words(contents) if "not ranked" in line]
    assert re.match(r"TWO is not ranked; in vocals it is 1\.5\d dB better than FIVE \(sure, 95 % interval ", line)
    assert "vocals" in forest_section(verdict, contents) and "TWO" in forest_section(verdict, contents)


def test_an_unfinished_system_is_not_ranked():
    contents = contents_of([*many_results("a"), *many_results("b", -1.0), *many_results("c", 9.0, num_tracks=7)])
    verdict = verdict_of(contents)
    assert verdict.winner.name == "a" and verdict.unranked[0].num_tracks == 7
    assert any(
        line.startswith("C is not ranked; in mean of the four stems it is 9.00 dB better than A, on 7 tracks")
        for line in words(contents)
    )


def test_the_forest_plot_has_a_row_for_each_difference():
    contents = contents_of([*many_results("peer"), *many_results("a <b>", 0.7), *noisy("third", 0.69, 0.9)])
    verdict = verdict_of(contents)
    drawn = forest_plot(verdict.winner.short, "mean", verdict.differences)
    assert drawn.count("<li ") == 2 == drawn.count('class="point"') and drawn.count('class="zero"') == 2
    assert "<b>" not in drawn.lower() and drawn.count("aria-hidden") == 3
    assert drawn.count("unsure") == sum(not found.is_sure for found in verdict.differences) == 1
    for found in verdict.differences:
        assert (
            f"{found.value:+.2f} dB".replace("-", "\u2212") in drawn
            and f"{found.low:.2f} to ".replace("-", "\u2212") in drawn
        )


@pytest.mark.parametrize("count", [1, 4, 9])
def test_each_system_has_a_colour(count):
    colors = colors_of([BOUND_ROLE, *[OURS_ROLE] * count, *[PEER_ROLE] * count])
    assert colors[0] == "bounds" and colors[1] == "c0" and colors[1 + count] == "c1"
    assert not set(colors[1 : 1 + count]) & set(colors[1 + count :])
