"""Work in a thread that can be abandoned: timed by the clock, ended at the next module, waited for at the end."""

import subprocess
import sys
import threading

import pytest
from torch import nn

from fake_networks import FakeClock
from models.running.repository import ROOT
from submission.predictor import attempt as module
from submission.predictor.attempt import Attempt, Clock, make_abandonable


def watch(clock: FakeClock, seconds: float, last: float, should_abandon=lambda worked_s, until_last_s: False):
    attempt = Attempt(lambda: clock.work(seconds), clock)
    return attempt, attempt.watch(last, should_abandon)


def test_results_and_errors_are_returned():
    attempt = Attempt(lambda: 7, Clock())
    attempt.watch(attempt._clock() + 60, lambda worked_s, until_last_s: False)
    assert attempt.result() == 7 and not attempt.is_abandoned
    attempt = Attempt(lambda: 1 // 0, Clock())
    attempt.watch(attempt._clock() + 60, lambda worked_s, until_last_s: False)
    with pytest.raises(ZeroDivisionError):
        attempt.result()


@pytest.mark.parametrize(("seconds", "is_abandoned"), [(0.9, False), (1.1, True)])
def test_work_that_ends_after_the_last_moment_is_abandoned(seconds: float, is_abandoned: bool):
    clock = FakeClock()
    attempt, worked_s = watch(clock, seconds, 101.0)
    assert attempt.is_abandoned == is_abandoned and worked_s == pytest.approx(min(seconds, 1.0))
    assert clock() <= 101.0


def test_work_is_abandoned_when_the_caller_says_so():
    asked = []
    attempt, worked_s = watch(FakeClock(), 5.0, 110.0, lambda *times: asked.append(times) or times[0] > 1)
    assert attempt.is_abandoned and worked_s == pytest.approx(1.05)
    assert sum(asked[3]) == pytest.approx(10)


def test_time_in_which_the_machine_stands_still_is_not_work():
    attempt, worked_s = watch(FakeClock([(100.5, 25.0)]), 1.0, 200.0)
    assert not attempt.is_abandoned and worked_s == pytest.approx(1.0)


def test_an_abandoned_thread_ends_at_the_networks_next_module():
    entered, go_on = threading.Event(), threading.Event()

    class Slow(nn.Module):
        def forward(self, value):
            entered.set()
            go_on.wait(60)
            return value

    network = nn.Sequential(Slow(), nn.Identity())
    make_abandonable(network)
    attempt = Attempt(lambda: network(3), Clock())
    attempt.watch(attempt._clock() + 0.01, lambda worked_s, until_last_s: False)
    assert entered.wait(60) and attempt.is_abandoned
    go_on.set()
    attempt.join(60)
    with pytest.raises(module._Abandoned):
        attempt.result()


PROGRAM = """
import os, sys, torch
from torch import nn
from submission.predictor.attempt import Attempt, Clock, make_abandonable

codes = [0, 3]
for code in codes:
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)
    else:
        break
else:
    sys.exit()

class Layer(nn.Module):
    def forward(self, value):
        for _ in range(60):
            value = torch.tanh(value @ value)
        return value

network = nn.Sequential(*[Layer() for _ in range(1000)])
make_abandonable(network)
clock = Clock()
attempt = Attempt(lambda: network(torch.rand(200, 200)), clock)
attempt.watch(clock() + 0.1, lambda worked_s, until_last_s: False)
assert attempt.is_abandoned
print("left", flush=True)
sys.exit(code)
"""
"""Two processes that leave a thread behind, of one that has imported torch."""


@pytest.mark.slow
def test_a_process_with_an_abandoned_thread_ends_normally():
    """Without waiting for the thread, it aborts: signal 6, "terminate called without an active exception"."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "left\nended 0\nleft\nended 3\n" and not done.stderr
