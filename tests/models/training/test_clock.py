"""The clock of a run: shares, ends and triggers, by a time that the test sets."""

import math
import types

import pytest

from models.presets.training import TrainConfig
from models.training import clock
from models.training.clock import Clock
from models.training.record.progress import Progress
from models.training.world import World


class Machine:
    """A time that stands still unless ``work`` lets it pass; half of it is the processor's."""

    def __init__(self) -> None:
        self.now = 100.0

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def machine(monkeypatch):
    made = Machine()
    time = types.SimpleNamespace(monotonic=lambda: made.now, process_time=lambda: made.now / 2)
    monkeypatch.setattr(clock, "time", time)
    return made


def start(progress=None, max_minutes=None, validations=0, **settings) -> Clock:
    config = TrainConfig(**{"steps": 100, "patience": 0, **settings})
    return Clock(config, Progress() if progress is None else progress, World(), max_minutes, validations)


def take_step(run: Clock, machine: Machine, seconds: float = 60.0, waited_s: float = 0.0, signals=()):
    run.start_step()
    machine.work(waited_s)
    run.end_wait()
    machine.work(seconds - waited_s)
    run.progress.step += 1
    return run.end_step(signals)


def test_a_step_counts_its_time_and_what_it_waited(machine):
    run = start()
    assert take_step(run, machine, seconds=6.0, waited_s=1.5) == (6.0, 1.5)
    assert (run.progress.minutes, run.progress.cpu_minutes) == (0.1, 0.05)
    machine.work(1000.0)  # between two steps
    take_step(run, machine, seconds=6.0)
    assert (run.progress.minutes, run.progress.cpu_minutes) == pytest.approx((0.2, 0.1))


def test_steps_and_minutes_end_a_run_whichever_comes_first(machine):
    run = start(steps=4, minutes=8.0)
    shares = [run.share_done]
    while not run.is_over:
        take_step(run, machine, seconds=180.0)  # 3 of 8 minutes, 1 of 4 steps
        shares.append(run.share_done)
    assert shares == pytest.approx([0, 0.375, 0.75, 1.125]) and run.is_finished
    run = start(steps=2, minutes=8.0)
    while not run.is_over:
        take_step(run, machine)
    assert run.is_finished and run.progress.step == 2


def test_the_processors_time_may_be_what_counts(machine):
    run = start(minutes=2.0, clock="processor")
    while not run.is_over:
        take_step(run, machine)
    assert run.is_finished and (run.progress.step, run.progress.cpu_minutes) == (4, 2.0)


def test_a_call_ends_before_its_run(machine):
    progress = Progress()
    for steps in (3, 6):
        run = start(progress, max_minutes=3, minutes=10.0)
        while not run.is_over:
            take_step(run, machine)
        assert progress.step == steps and not run.is_finished and not run.is_stopped


def test_a_linear_schedule_ends_with_the_call_and_goes_on_from_there(machine):
    progress = Progress()
    run = start(progress, max_minutes=2, schedule="linear")
    assert progress.horizon_minutes == 2
    while not run.is_over:
        take_step(run, machine)
    assert run.is_finished and start(progress, schedule="linear").is_finished
    assert start(progress, max_minutes=3, schedule="linear").share_done == pytest.approx(2 / 5)
    assert start(Progress(minutes=1.0, horizon_minutes=2.0), max_minutes=5, schedule="linear").share_done == 0.5
    assert start(Progress(minutes=1.0), max_minutes=5).progress.horizon_minutes == 0  # exponential: no end


def test_patience_ends_a_run(machine):
    progress = Progress(stale_validations=2)
    assert start(progress, patience=2).is_finished and not start(progress, patience=3).is_finished
    assert not start(progress, patience=0).is_finished


def test_a_signal_stops_the_call_after_its_step(machine):
    run = start()
    take_step(run, machine)
    assert not run.is_over
    take_step(run, machine, signals=[15])
    assert run.is_stopped and run.is_over and not run.is_finished


def test_rows_and_validations_come_every_so_many_steps(machine, monkeypatch):
    monkeypatch.setattr(clock, "LOG_EVERY", 2)
    run = start(validate_every=3)
    logged, validated = [], []
    for step in range(1, 7):
        take_step(run, machine)
        logged += [step] * run.is_time_to_log
        validated += [step] * run.is_time_to_validate
    assert (logged, validated) == ([2, 4, 6], [3, 6])


@pytest.mark.parametrize(("validations", "expected"), [(0, []), (3, [4, 7, 10]), (4, [3, 5, 8, 10])])
def test_shares_of_a_run_are_completed_once(machine, validations, expected):
    run, completed = start(steps=10, validations=validations), []
    while not run.is_over:
        take_step(run, machine)
        completed += [run.progress.step] * run.has_completed_a_share
    assert completed == expected


def test_it_is_time_to_save_a_minute_after_the_last_save(machine):
    run = start()
    saved = []
    for second in range(0, 200, 20):
        if run.is_time_to_save:
            saved.append(second)
            run.note_save()
        machine.work(20.0)
    assert saved == [80, 160]  # more than a minute
    assert math.isclose(clock.SAVE_EVERY_S, 60.0)
