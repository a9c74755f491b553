"""The planner: it chooses the best mode that ends in time, from the measured steps of the track."""

import random

import pytest

from submission.predictor.time_limit import (
    LAST_SHARE,
    SHORTEST_STEP_S,
    TARGET_SHARE,
    BatchSize,
    Mode,
    Planner,
    Step,
    list_modes,
    processed_s,
)

COSTS = {("big", "float32"): 1.0, ("big", "half"): 0.7, ("small", "float32"): 0.2, ("small", "half"): 0.1}
BEST = Mode(("big",), 0.5, "float32")


def make_planner(slowdown: float | None = 1.0) -> Planner:
    return Planner(list_modes([("big",), ("small",)], 0.5, COSTS), window_s=10.0, slowdown=slowdown)


def choose(planner: Planner, remaining_s: float, until_target_s: float, until_last_s: float, batch: int = 1) -> Step:
    step = planner.choose(remaining_s, until_target_s, until_last_s, batch)
    assert step is not None
    return step


def test_modes_lose_precision_first_then_overlap_then_the_network():
    modes = [str(mode) for mode in list_modes([("big",), ("small",)], 0.5, COSTS)]
    assert modes == [
        f"{network}, overlap {overlap}, {precision}"
        for network in ("big", "small")
        for overlap in ("0.5", "0")
        for precision in ("float32", "half")
    ]


def test_modes_without_a_measured_cost_are_left_out_and_ensembles_are_summed():
    modes = list_modes([("big", "small")], 0.0, {key: cost for key, cost in COSTS.items() if key != ("big", "half")})
    assert modes == {Mode(("big", "small"), 0.0, "float32"): 1.2}


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
        (0, "small, overlap 0, half"),
    ],
)
def test_the_best_mode_that_ends_in_time_is_chosen(until_target_s: float, expected: str):
    assert str(choose(make_planner(), 100, until_target_s, until_target_s + 20).mode) == expected


def test_the_cheapest_is_tried_until_the_last_moment_however_slow_it_seems():
    planner = make_planner(slowdown=1000.0)
    step = choose(planner, 100, 0, 0.001)
    assert str(step.mode) == "small, overlap 0, half"
    assert step.chunk_s == SHORTEST_STEP_S and step.takes_s > 1
    assert not planner.should_abandon(step, 0.0005, 0.0005)
    assert planner.choose(100, 0, 0) is None


def test_where_time_is_short_a_step_of_the_cheapest_takes_half_of_it():
    assert choose(make_planner(), 100, 0, 4).chunk_s == 10
    step = choose(make_planner(), 100, 0, 1.5)
    assert step.chunk_s == pytest.approx(7.5) and step.takes_s == pytest.approx(0.75)
    assert step.covers_s == step.chunk_s and step.num_chunks == 1


def test_a_batch_is_as_large_as_fits():
    assert choose(make_planner(), 100, 1000, 1000, batch=8).num_chunks == 8
    step = choose(make_planner(), 100, 200, 15 + 10, batch=8)  # the cheapest needs 10 for all
    assert step.mode == BEST and step.num_chunks == 1
    assert choose(make_planner(), 100, 0, 9, batch=8).num_chunks == 4


def test_a_better_mode_starts_only_if_the_cheapest_could_do_the_rest_afterwards():
    assert choose(make_planner(), 10, 12, 11.1).mode == BEST
    assert choose(make_planner(), 10, 12, 10.9).mode.precision == "half"


def test_before_the_first_step_the_last_moment_is_the_target():
    assert choose(make_planner(slowdown=None), 100, 0, 200).mode == BEST
    assert choose(make_planner(slowdown=1.0), 100, 0, 200).mode != BEST


def test_the_tracks_steps_replace_earlier_tracks_and_a_single_stall_does_not_count():
    planner = make_planner(slowdown=7.0)
    assert planner.slowdown == 7
    seen = []
    for took_s in (20, 400, 30, 30, 30):
        planner.observe(BEST, audio_s=10, took_s=took_s)
        seen.append(planner.slowdown)
    assert seen == [2, 2, 3, 3, 3]
    assert planner.predict(Mode(("small",), 0.0, "half"), 100) == pytest.approx(30)


def test_a_short_step_can_only_lower_the_slowdown():
    planner = make_planner(slowdown=1.0)
    planner.observe(BEST, audio_s=0.005, took_s=0.5)
    assert planner.slowdown == 1
    slow = make_planner(slowdown=100.0)
    slow.observe(BEST, audio_s=0.5, took_s=1.0)
    assert slow.slowdown == 2


def test_after_a_disturbance_the_best_mode_is_chosen_again():
    planner = make_planner()
    assert choose(planner, 100, 200, 300).mode == BEST
    planner.observe(BEST, audio_s=10, took_s=50)
    low = choose(planner, 90, 150, 250).mode
    assert low.networks == ("small",)
    for _ in range(2):
        planner.observe(low, audio_s=10, took_s=10 * COSTS[low.networks[0], low.precision])
    assert choose(planner, 10, 100, 200).mode == BEST


def test_a_step_is_abandoned_when_the_cheapest_would_have_no_time_afterwards():
    planner = make_planner()
    step = choose(planner, 20, 100, 100)  # takes 10, and the cheapest 1 for the rest
    assert step.mode == BEST
    assert not planner.should_abandon(step, 0.5, 11)
    assert planner.should_abandon(step, 0.5, 10)
    assert not planner.should_abandon(step, 9.5, 1)  # to finish it takes less than to do it again
    assert planner.should_abandon(step, 9.5, 0.4)


def test_a_step_slower_than_predicted_makes_the_cheapest_expected_slower_too():
    planner = make_planner()
    step = choose(planner, 20, 100, 100)
    assert not planner.should_abandon(step, 30, 7)
    assert planner.should_abandon(step, 30, 5)  # three times as slow: the cheapest takes 6
    planner.abandon(step, 10, 30)
    assert planner.slowdown == 3
    assert choose(planner, 20, 1000, 1000).mode.networks == ("small",)
    planner.observe(step.mode, 10, 10)
    planner.observe(step.mode, 10, 10)
    assert choose(planner, 20, 1000, 1000).mode == BEST


def test_a_step_abandoned_in_a_stall_does_not_change_the_slowdown():
    planner = make_planner()
    planner.abandon(choose(planner, 20, 100, 100), 10, 0.5)
    assert planner.slowdown == 1


class Machine:
    """Does steps at a constant speed, except while it stands still.

    Attributes:
        now: the time, seconds.
        remaining_s: audio that is left.
        after_stalls: (the time, the audio that was left) at the end of each stall.
    """

    def __init__(self, planner: Planner, audio_s: float, stalls: list[tuple[float, float]]) -> None:
        self.planner, self.remaining_s = planner, audio_s
        self.limit_s = 1.57 * audio_s
        self.last = LAST_SHARE * self.limit_s
        self.now = 0.0
        self.after_stalls = [(0.0, audio_s)]
        self._stalls = sorted(stalls)

    def run(self) -> None:
        """Work on the track until it is done or the time is over."""
        while self.remaining_s > 1e-9:
            until_target_s = TARGET_SHARE * self.limit_s - self.now
            step = self.planner.choose(self.remaining_s, until_target_s, self.last - self.now)
            if step is None:
                return
            worked_s = self._do(step)
            audio_s = step.num_chunks * step.chunk_s
            if worked_s < step.takes_s:
                self.planner.abandon(step, audio_s, worked_s)
            else:
                self.planner.observe(step.mode, audio_s, worked_s)
                self.remaining_s -= step.covers_s if self.now <= self.last + 1e-9 else 0

    def _do(self, step: Step) -> float:
        worked_s = 0.0
        while worked_s < step.takes_s:
            share_s = min(0.05, step.takes_s - worked_s)
            worked_s += share_s
            self.now += share_s
            while self._stalls and self._stalls[0][0] <= self.now:
                self.now += self._stalls.pop(0)[1]
                self.after_stalls.append((self.now, self.remaining_s))
            is_done = worked_s >= step.takes_s
            if not is_done and (
                self.now >= self.last or self.planner.should_abandon(step, worked_s, self.last - self.now)
            ):
                break
        return worked_s


@pytest.mark.parametrize("seed", range(300))
def test_only_audio_beyond_the_time_after_a_stall_is_not_covered(seed: int):
    """The cheapest mode can use all time after a stall, to within the shortest step."""
    random_ = random.Random(seed)
    audio_s, window_s = random_.choice([0.5, 7.0, 30.0]) * random_.uniform(0.5, 2), random_.choice([1.0, 3.0, 7.0])
    big = 10 ** random_.uniform(-2, 0.5)
    small = big * random_.uniform(0.05, 1)
    costs = {("big", "float32"): big, ("small", "float32"): small}
    modes = list_modes([("big",), ("small",)], random_.choice([0.0, 0.05, 0.5]), costs)
    last = LAST_SHARE * 1.57 * audio_s
    stalls = []
    for _ in range(random_.randrange(4)):  # many end shortly before the last moment
        end = last * (1 - 10 ** random_.uniform(-3, 0))
        begin = end * random_.choice([1, 10 ** random_.uniform(-3, 0)]) * random_.random()
        stalls.append((begin, end - begin))
    machine = Machine(Planner(modes, window_s, slowdown=1.0), audio_s, stalls)
    machine.run()
    stall_end, was_left_s = machine.after_stalls[-1]
    could_cover_s = max(0.0, machine.last - stall_end) / small
    assert machine.remaining_s <= max(0.0, was_left_s - could_cover_s) + SHORTEST_STEP_S + 1e-6


def test_excluded_modes_are_not_chosen_again():
    planner = make_planner()
    planner.exclude("big", "half")
    assert {mode.precision for mode in planner.modes if mode.networks == ("big",)} == {"float32"}
    planner.exclude("big")
    assert {mode.networks for mode in planner.modes} == {("small",)}
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
def test_the_batch_grows_while_audio_gets_faster(costs: dict[int, float], expected: int):
    assert grow(costs) == expected


def test_the_batch_stays_where_it_may_not_grow_and_after_memory_ran_out():
    assert grow({1: 1.0}, largest=0) == 1
    batch = BatchSize(4, 8)
    assert batch.shrink() and batch.size == 2
    batch.observe(2, 0.1)
    assert batch.size == 2
    assert batch.shrink() and not batch.shrink()
    assert batch.size == 1


def test_a_shorter_last_batch_does_not_count():
    batch = BatchSize(2, 8)
    batch.observe(1, 0.1)
    batch.observe(2, 1.0)
    assert batch.size == 4
