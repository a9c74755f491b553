"""Runs a separator in another Python environment: one process, started once, with messages over its pipes."""

import contextlib
import os
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from typing import IO, Any

import numpy as np

from benchmark.workers.messages import PROTOCOL, read_message, write_message
from models.running.child_process import how_it_ended, kill_group, last_lines

END_S = 5.0
"""How long a worker may take to end once its input is closed, before it is killed."""


class Worker:
    """Sends mixtures to a worker process and receives their stems.

    The worker ends when this process ends, even if it is killed, because the worker's input then closes. After a crash
    the next call starts a new worker.

    Attributes:
        ready: the worker's first message: `stems`, `sample_rate`, `parameters`.
        peak_memory_bytes, cpu_s: memory and processor time of the last separation in the worker's process.
    """

    def __init__(self, command: Sequence[str], label: str, cwd: str | None = None, **environment: str) -> None:
        """Start the worker and wait until it is ready.

        Args:
            command: program and arguments.
            label: its name in messages to the user.
            cwd: its working directory.
            environment: added to this process's environment variables.

        Raises:
            ValueError: the worker reports that it cannot work, with the reason.
            ChildProcessError: it cannot be started, ended before it was ready, or has another version.
        """
        self._command, self._label, self._cwd = list(command), label, cwd
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self.peak_memory_bytes, self.cpu_s = 0, 0.0
        self.ready: dict[str, Any] = self._start()

    def separate(self, mixture: np.ndarray) -> dict[str, np.ndarray]:
        """Separate a mixture [C, T] into {stem: [C, T]} in the worker.

        Raises:
            ValueError: the worker could not separate it; the message gives the reason.
            ChildProcessError: the worker ended, or sent an invalid answer.
        """
        if self._process is None:
            self._start()
        message, samples = self._ask(mixture)
        if samples is None or samples.shape != (len(self.ready["stems"]), *mixture.shape):
            self.close()
            raise ChildProcessError(f"{self._label} answered with {message}: expected stems like {mixture.shape}")
        self.peak_memory_bytes, self.cpu_s = int(message["peak_memory_bytes"]), float(message["cpu_s"])
        return dict(zip(self.ready["stems"], samples, strict=True))

    def close(self) -> None:
        """End the worker."""
        if self._process is not None:
            self._process = None
            self._finalizer()

    def _start(self) -> dict[str, Any]:
        log = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the worker)
        self._doing = "starting"
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._cwd,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is answered by the caller
            )
        except OSError as error:
            log.close()
            raise ChildProcessError(f"{self._label} could not be started ({error})") from error
        self._log: IO[bytes] = log
        self._finalizer = weakref.finalize(self, _end, self._process, log)
        try:
            message, _ = self._answer()
        except ValueError:
            self.close()
            raise
        if message["kind"] != "ready" or message.get("protocol") != PROTOCOL:
            self.close()
            raise ChildProcessError(
                f"{self._label} has another version: expected protocol {PROTOCOL}, got {message.get('protocol')}"
            )
        return message

    def _ask(self, mixture: np.ndarray) -> tuple[dict[str, Any], np.ndarray | None]:
        assert self._process is not None and self._process.stdin is not None
        self._doing = "separating"
        try:
            write_message(self._process.stdin, "separate", mixture)
        except BrokenPipeError:
            pass  # the worker has ended: _answer reports how
        except BaseException:  # interrupted: the worker would wait for the rest
            self.close()
            raise
        return self._answer()

    def _answer(self) -> tuple[dict[str, Any], np.ndarray | None]:
        """The next message that is not about progress."""
        assert self._process is not None and self._process.stdout is not None
        while True:
            try:
                message, samples = read_message(self._process.stdout)
            except EOFError:
                raise ChildProcessError(self._why_it_ended()) from None
            except ValueError as error:
                self.close()
                raise ChildProcessError(f"{self._label} sent an invalid answer ({error})") from error
            except BaseException:  # interrupted: the next answer on the pipe would belong to the old question
                self.close()
                raise
            if message["kind"] == "progress":
                self._doing = message["text"]
            elif message["kind"] == "error":
                raise ValueError(f"{self._label}: {message['reason']}")
            else:
                return message, samples

    def _why_it_ended(self) -> str:
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=END_S)
        lines = last_lines(self._log, 1)
        code = self._process.returncode
        self.close()
        if code is None:
            return f"{self._label} closed its output while {self._doing}"
        last = f": {lines[0].strip()[:300]}" if lines else ""
        return f"{self._label} {how_it_ended(code)} while {self._doing}{last}"


class WorkerSystem:
    """A system that separates in a worker process; its memory and processor time include the worker's.

    Attributes:
        worker: the process.
    """

    worker: Worker


def _end(process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    """Close a worker's pipes, so that it ends; kill it if it does not."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    try:
        process.wait(timeout=END_S)
    except subprocess.TimeoutExpired:
        kill_group(process.pid)  # it leads its session
        process.wait()
    log.close()
