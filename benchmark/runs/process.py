"""The process in which a system is measured, in serial runs, Ray tasks and on clusters.

It measures the pairs of one system, so that its memory is the system's, and a crash loses only the current pair. The
processes that it starts, such as a user's workers, are in its session and end with it. It ends when the process that
started it ends, even if that is killed.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from benchmark.provenance.machine import pinned_threads
from benchmark.provenance.weights import Source
from benchmark.runs.pair import Origin, Pair, describe, measure_pair, prepare
from benchmark.runs.result_key import check_made_by
from benchmark.runs.settings import Settings
from benchmark.runs.store import Failure
from models.running.child_process import how_it_ended, kill_group

READY, DONE, FAILED, UNUSABLE = "ready", "done", "failed", "unusable"
Outcome = tuple[str, str]
"""DONE, FAILED (only this pair) or UNUSABLE (the system), and the reason."""
LOOK_S = 0.5
"""How often a silent process is checked: processes that a system started may hold its pipe open after its end."""
END_S = 10.0
"""How long a process may take to end once nothing is left to measure."""


class MeasuringProcess:
    """Measures pairs of one system in its own process, which is started for the first pair and again after a crash.

    Args:
        source: the system.
        out: folder of the results.
        settings: see Settings.
        origin: see Origin.
    """

    def __init__(self, source: Source, out: Path, settings: Settings, origin: Origin) -> None:
        self._source = source
        self._arguments = (source, out, settings, origin)
        self._threads = settings.threads
        self._process: SpawnProcess | None = None

    def measure(self, pair: Pair) -> Outcome:
        """Measure a pair; if the process ends, the outcome says how."""
        if self._process is None:
            self._start(pair.key)
            kind, reason = self._receive(if_it_ends=UNUSABLE)
            if kind != READY:
                self.close()
                return kind, reason
        with contextlib.suppress(OSError):  # the process has ended: _receive reports how
            self._connection.send(pair)
        return self._receive(if_it_ends=FAILED)

    def close(self) -> None:
        """End the process and all that it started: at once while it is measuring, else after its clean-up."""
        if self._process is None:
            return
        self._connection.close()
        if not self._busy:
            self._exit_code(END_S)
        self._end()

    def __enter__(self) -> "MeasuringProcess":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _start(self, key: Mapping[str, Any]) -> None:
        """Start `work` in a new interpreter. It ignores Ctrl-C; this process handles it for both."""
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, key, *self._arguments))
        is_main = threading.current_thread() is threading.main_thread()
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_main else None
        try:
            with pinned_threads(self._threads):
                process.start()
        finally:
            if is_main:
                signal.signal(signal.SIGINT, previous)
        theirs.close()
        self._process, self._busy = process, True

    def _receive(self, if_it_ends: str) -> Outcome:
        """The next message; if the process ends instead, `if_it_ends` and how it ended."""
        assert self._process is not None
        self._busy = True
        try:
            while not self._connection.poll(LOOK_S):
                if self._process.exitcode is not None and not self._connection.poll():
                    raise EOFError
            kind, reason = self._connection.recv()
        except (EOFError, OSError):
            code = self._exit_code(END_S)
            reason = "its process closed its connection" if code is None else f"its process {how_it_ended(code)}"
            self._connection.close()
            self._end()
            return if_it_ends, reason
        self._busy = False
        return kind, reason

    def _exit_code(self, seconds: float) -> int | None:
        """Wait for the exit code; `join` would also wait for started processes that hold the process's files open."""
        assert self._process is not None
        until = time.monotonic() + seconds
        while self._process.exitcode is None and time.monotonic() < until:
            time.sleep(0.01)
        return self._process.exitcode

    def _end(self) -> None:
        assert self._process is not None and self._process.pid is not None
        with contextlib.suppress(PermissionError):
            kill_group(self._process.pid)  # its session: itself, and what it started
        self._process.kill()
        self._process.join()
        self._process = None


def work(
    connection: Connection, key: Mapping[str, Any], source: Source, out: Path, settings: Settings, origin: Origin
) -> None:
    """The program of the process: load the system, then answer each pair with an Outcome until the pipe closes."""
    os.setsid()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        check_made_by(source, key)
        system, row = prepare(source, settings)
    except (Exception, SystemExit) as error:
        connection.send((UNUSABLE, describe(error)))
        return
    connection.send((READY, ""))
    while True:
        try:
            pair = connection.recv()
        except (EOFError, OSError):
            return
        try:
            measure_pair(system, row, pair, out, settings, origin)
        except Exception as error:
            connection.send((FAILED, describe(error)))
        else:
            connection.send((DONE, ""))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.killpg(0, signal.SIGKILL)


class Failures(list[Failure]):
    """The failures of a run: one for each failed pair, or one for a system that cannot be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self._unusable: set[str] = set()

    def gave_up(self, source: Source) -> bool:
        """Whether a system cannot be loaded."""
        return source.name in self._unusable

    def note(self, pair: Pair, outcome: Outcome) -> None:
        """Record the outcome of a pair."""
        kind, reason = outcome
        if kind == FAILED:
            self.append(Failure(pair.source.name, pair.title, reason))
        elif kind == UNUSABLE and not self.gave_up(pair.source):
            self._unusable.add(pair.source.name)
            self.append(Failure(pair.source.name, "", reason))
