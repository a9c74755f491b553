"""models.running.child_process: all of a group is ended, its end is told as it was, and of its log the last lines."""

import io
import os
import signal
import subprocess
import sys

import pytest

from models.running import child_process
from models.running.child_process import how_it_ended, kill_group, last_lines

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; print('child', flush=True); time.sleep(600)"])
child.wait()
"""


def test_a_group_is_killed_with_what_it_started():
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with process:
        assert process.stdout is not None and process.stdout.readline() == "child\n"
        kill_group(process.pid)
        assert process.wait() == -signal.SIGKILL
        assert process.stdout.read() == ""  # the end of the pipe: the child, which held it too, has gone
    kill_group(process.pid)  # once more changes nothing


def test_a_group_of_somebody_else_is_told(monkeypatch):
    def refuse(group: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "killpg", refuse)
    with pytest.raises(PermissionError):
        kill_group(1)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "ended with exit code 3"),
        (0, "ended with exit code 0"),
        (-11, "was ended by signal 11 (SIGSEGV)"),
        (-9, "was ended by signal 9 (SIGKILL), perhaps by the kernel for lack of memory"),
        (-15, "was ended by signal 15 (SIGTERM)"),
        (-40, "was ended by signal 40"),
    ],
)
def test_memory_is_a_guess_where_the_kernel_kills_and_nowhere_else(code, words):
    assert how_it_ended(code) == words


@pytest.mark.parametrize(
    ("log", "num_lines", "expected"),
    [
        (b"", 2, []),
        (b"\n \n", 2, []),
        (b"one\ntwo\nthree\n\n", 2, ["two", "three"]),
        (b"one", 2, ["one"]),
        (b"caf\xe9\n", 1, ["caf\N{REPLACEMENT CHARACTER}"]),
    ],
)
def test_the_last_lines_of_a_log(log, num_lines, expected):
    stream = io.BytesIO(log)
    assert last_lines(stream, num_lines) == expected
    assert last_lines(stream, num_lines) == expected  # wherever it stood


def test_a_long_log_is_not_read_whole(monkeypatch):
    monkeypatch.setattr(child_process, "TAIL_BYTES", 10)
    assert last_lines(io.BytesIO(b"x" * 100 + b"\nabc\nde\n"), 15) == ["xx", "abc", "de"]
