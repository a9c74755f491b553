"""Runs work in a thread that can be abandoned when it takes too long.

Python cannot kill a thread. An abandoned one ends at its next call of a network's module, usually within milliseconds.
At the end of the process, the threads that still run are waited for. Otherwise Python would end them with pthread_exit
while they are in torch's C++ code, which does not allow that, and the process would abort with signal 6.
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
"""At its end the process waits at most this long for abandoned threads."""


class Clock:
    """Tells the time and waits; tests replace it."""

    POLL_S = 0.05

    def __call__(self) -> float:
        """Seconds, from any zero."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Wait for an event, at most so many seconds."""
        event.wait(seconds)


class _Abandoned(Exception):
    """Ends the work of an abandoned thread."""


class Attempt(threading.Thread, Generic[Result]):
    """A call that runs in its own thread, from the start.

    Args:
        work: the function to call.
        clock: the time.

    Attributes:
        is_abandoned: whether the result will not be used, because it is too late.
    """

    _running: "weakref.WeakSet[Attempt[Any]]" = weakref.WeakSet()

    def __init__(self, work: Callable[[], Result], clock: Clock) -> None:
        super().__init__(daemon=True)
        self.is_abandoned = False
        self._is_done = threading.Event()
        self._ended = 0.0
        self._error: Exception | None = None
        self._work, self._clock = work, clock
        self._result: list[Result] = []
        Attempt._running.add(self)
        self.start()

    def run(self) -> None:
        """Run the work in the thread; errors are kept for `result`."""
        try:
            self._result.append(self._work())
        except Exception as error:
            self._error = error
        self._ended = self._clock()
        self._is_done.set()

    def watch(self, last: float, should_abandon: Callable[[float, float], bool]) -> float:
        """Wait until the work has ended or is abandoned.

        Args:
            last: time of the clock after which a result is not used.
            should_abandon: called after each wait with how long it has worked and the time until `last`, seconds.

        Returns:
            How long it worked, seconds. If a wait takes longer than requested, the whole machine stood still; the
            excess does not count.
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
                if not self._is_done.is_set() and (now >= last or should_abandon(worked_s, last - now)):
                    break
        finally:
            self.is_abandoned = not self._is_done.is_set() or self._ended > last
        return worked_s

    def result(self) -> Result:
        """The return value of the work.

        Raises:
            Exception: the error that the work raised.
        """
        if self._error is not None:
            raise self._error
        return self._result[0]


def make_abandonable(network: nn.Module) -> None:
    """Make an abandoned thread end at the next module of this network that it calls."""
    for module in network.modules():
        module.register_forward_pre_hook(_end_if_abandoned)


def _end_if_abandoned(module: nn.Module, inputs: object) -> None:
    thread = threading.current_thread()
    if isinstance(thread, Attempt) and thread.is_abandoned:
        raise _Abandoned


@atexit.register
def _end_all() -> None:
    """Abandon the threads that still run and wait for them, before Python shuts down."""
    until = time.monotonic() + EXIT_LIMIT_S
    attempts = list(Attempt._running)
    for attempt in attempts:
        attempt.is_abandoned = True
    for attempt in attempts:
        attempt.join(max(0.0, until - time.monotonic()))
