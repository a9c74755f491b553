"""Runs work in a thread that can be left to itself when it takes too long.

A thread cannot be killed. One that is left ends at its next call of a network's module, which takes milliseconds; at
the end of the process those that still run are waited for. Without that, torch's code would be running while Python
shuts down: Python ends such a thread with pthread_exit, which unwinds C++ frames that forbid it, and the process aborts
with signal 6.
"""

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from torch import nn

Result = TypeVar("Result")

EXIT_LIMIT_S = 60.0
"""A thread that hangs for longer does not keep the process."""


class Clock:
    """The time, and waiting; tests have another."""

    POLL_S = 0.05

    def __call__(self) -> float:
        """Seconds, from any zero."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Wait for an event, at most so long."""
        event.wait(seconds)


class _Left(Exception):
    """Ends the work of a thread that was left."""


class Attempt(threading.Thread, Generic[Result]):
    """Some work that has begun, in a thread of its own.

    Args:
        work: what to do.
        clock: the time.

    Attributes:
        is_left: whether the result, if one comes, is of no use any more.
    """

    _running: "weakref.WeakSet[Attempt[Any]]" = weakref.WeakSet()

    def __init__(self, work: Callable[[], Result], clock: Clock) -> None:
        super().__init__(daemon=True)
        self.is_left = False
        self._is_done = threading.Event()
        self._ended = 0.0
        self._error: Exception | None = None
        self._work, self._clock = work, clock
        self._result: list[Result] = []
        Attempt._running.add(self)
        self.start()

    def run(self) -> None:
        """The thread's own; never raises."""
        try:
            self._result.append(self._work())
        except Exception as error:
            self._error = error
        self._ended = self._clock()
        self._is_done.set()

    def watch(self, last: float, should_leave: Callable[[float, float], bool]) -> float:
        """Wait until the work has ended or is to be left.

        Args:
            last: nothing that ends later is of use, by the clock.
            should_leave: asked again and again; is given how long it has worked and the time until `last`, seconds.

        Returns:
            How long it worked, seconds. A wait that took longer than was asked for means that the whole machine stood
            still; the excess does not count.
        """
        clock = self._clock
        worked_s = 0.0
        try:
            while not self._is_done.is_set():
                before = clock()
                asked_s = max(0.0, min(clock.POLL_S, last - before))
                clock.wait(self._is_done, asked_s)
                now = clock()
                worked_s += min(now - before, asked_s)
                if not self._is_done.is_set() and (now >= last or should_leave(worked_s, last - now)):
                    break
        finally:
            self.is_left = not self._is_done.is_set() or self._ended > last
        return worked_s

    def result(self) -> Result:
        """What the work returned.

        Raises:
            Exception: what the work raised.
        """
        if self._error is not None:
            raise self._error
        return self._result[0]


def make_leavable(network: nn.Module) -> None:
    """Let a thread that was left end at the next module of a network that it calls."""
    for module in network.modules():
        module.register_forward_pre_hook(_end_if_left)


def _end_if_left(module: nn.Module, inputs: object) -> None:
    thread = threading.current_thread()
    if isinstance(thread, Attempt) and thread.is_left:
        raise _Left


@atexit.register
def _end_all() -> None:
    """Wait for the threads that still run, before Python shuts down."""
    until = time.monotonic() + EXIT_LIMIT_S
    attempts = list(Attempt._running)
    for attempt in attempts:
        attempt.is_left = True
    for attempt in attempts:
        attempt.join(max(0.0, until - time.monotonic()))
