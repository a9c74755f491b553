"""The plan: the best that ends in time, learnt from the track's own steps."""

import pytest

from submission.deadline import BatchSize, Planner, Rung, ladder, processed_s

COSTS = {("big", "float32"): 1.0, ("big", "half"): 0.7, ("small", "float32"): 0.2, ("small", "half"): 0.1}
BEST = Rung(("big",), 0.5, "float32")


def make_planner(slowdown: float | None = 1.0) -> Planner:
    return Planner(ladder([("big",), ("small",)], 0.5, COSTS), window_s=10.0, slowdown=slowdown)


def test_the_ladder_gives_up_precision_first_then_overlap_then_the_network():
    rungs = [str(rung) for rung in ladder([("big",), ("small",)], 0.5, COSTS)]
    assert rungs == [
        f"{network}, overlap {overlap}, {precision}"
        for network in ("big", "small")
        for overlap in ("0.5", "0")
        for precision in ("float32", "half")
    ]


def test_the_ladder_leaves_out_what_was_not_measured_and_sums_an_ensemble():
    rungs = ladder([("big", "small")], 0.0, {key: cost for key, cost in COSTS.items() if key != ("big", "half")})
    assert rungs == {Rung(("big", "small"), 0.0, "float32"): 1.2}


@pytest.mark.parametrize(
    ("remaining_s", "overlap", "processed"), [(4, 0.5, 4), (10, 0.5, 10), (15, 0.5, 20), (16, 0.5, 26), (30, 0.0, 30)]
)
def test_shared_audio_counts_for_each_chunk_that_holds_it(remaining_s: float, overlap: float, processed: float):
    assert processed_s(remaining_s, 10.0, overlap) == processed


@pytest.mark.parametrize(
    ("until_target_s", "expected"),
    [
        (1000, "big, overlap 0.5, float32"),
        (189, "big, overlap 0.5, half"),
        (132, "big, overlap 0, float32"),
        (99, "big, overlap 0, half"),
        (69, "small, overlap 0.5, float32"),
        (37, "small, overlap 0.5, half"),
        (18, "small, overlap 0, half"),
    ],
)
def test_the_best_rung_that_ends_in_time_is_taken(until_target_s: float, expected: str):
    assert str(make_planner().choose(100, until_target_s, until_target_s)) == expected


def test_where_nothing_ends_in_time_the_cheapest_goes_on_while_a_chunk_fits():
    planner = make_planner()
    assert str(planner.choose(100, 0, 1.1)) == "small, overlap 0, half"
    assert planner.choose(100, 0, 0.9) is None
    assert str(planner.choose(5, 0, 0.6)) == "small, overlap 0.5, half"


def test_before_any_step_was_seen_the_last_moment_is_the_target():
    assert make_planner(slowdown=None).choose(100, 0, 200) == BEST
    assert make_planner(slowdown=1.0).choose(100, 0, 200) != BEST


def test_the_first_step_says_how_fast_the_machine_is_later_ones_correct_it():
    planner = make_planner(slowdown=7.0)
    planner.observe(BEST, audio_s=10, took_s=20)
    assert planner.slowdown == 2
    planner.observe(BEST, audio_s=10, took_s=40)
    assert planner.slowdown == 3
    assert planner.predict(Rung(("small",), 0.0, "half"), 100) == pytest.approx(30)


def test_a_disturbance_goes_down_the_ladder_and_comes_up_again():
    planner = make_planner()
    assert planner.choose(100, 200, 300) == BEST
    planner.observe(BEST, audio_s=10, took_s=50)
    low = planner.choose(90, 150, 250)
    assert low is not None and low.networks == ("small",)
    for _ in range(8):
        planner.observe(low, audio_s=10, took_s=10 * COSTS[low.networks[0], low.precision])
    assert planner.choose(10, 100, 200) == BEST


def test_what_failed_is_not_chosen_again():
    planner = make_planner()
    planner.exclude("big", "half")
    assert {rung.precision for rung in planner.rungs if rung.networks == ("big",)} == {"float32"}
    planner.exclude("big")
    assert {rung.networks for rung in planner.rungs} == {("small",)}
    planner.exclude("small")
    assert planner.choose(1, 1e9, 1e9) is None


def grow(costs: dict[int, float], largest: int = 8) -> int:
    batch = BatchSize(1, largest)
    for _ in range(10):
        batch.observe(batch.size, costs[batch.size])
    return batch.size


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ({1: 1.0, 2: 0.5, 4: 0.3, 8: 0.2}, 8),
        ({1: 1.0, 2: 0.5, 4: 0.49}, 2),
        ({1: 1.0, 2: 1.2}, 1),
        ({1: 1.0, 2: 0.5, 4: 0.3, 8: 0.29}, 4),
    ],
)
def test_the_batch_grows_while_it_pays(costs: dict[int, float], expected: int):
    assert grow(costs) == expected


def test_the_batch_stays_where_it_may_not_grow_and_after_memory_ran_out():
    assert grow({1: 1.0}, largest=0) == 1
    batch = BatchSize(4, 8)
    assert batch.shrink() and batch.size == 2
    batch.observe(2, 0.1)
    assert batch.size == 2
    assert batch.shrink() and not batch.shrink()
    assert batch.size == 1


def test_a_shorter_last_batch_tells_nothing():
    batch = BatchSize(2, 8)
    batch.observe(1, 0.1)
    batch.observe(2, 1.0)
    assert batch.size == 4
