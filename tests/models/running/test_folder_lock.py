"""One writer for a folder: a second one is refused or waits, and a lock ends with its process."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from models.running.folder_lock import LOCK, sole_writer

HOLD = """
import os, sys, time
from pathlib import Path
from models.running.folder_lock import sole_writer

with sole_writer(Path(sys.argv[1])):
    read, write = os.pipe()
    if (child := os.fork()) == 0:  # like a process that makes batches
        os.write(write, b"x")
        time.sleep(60)
        os._exit(0)
    os.read(read, 1)
    print(child, flush=True)
    sys.stdin.read()
"""
"""A program that locks a folder and has a child process that outlives it."""


def test_a_second_writer_is_refused_until_the_first_is_killed(tmp_path):
    folder = tmp_path / "new" / "run"
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        child = int(process.stdout.readline())
        try:
            message = f"{folder}: process {process.pid} is writing there; wait"
            with pytest.raises(ValueError, match=message), sole_writer(folder):
                pass
            process.kill()
            process.wait()
            os.kill(child, 0)  # the child still runs, but does not hold the lock
            with sole_writer(folder):
                assert (folder / LOCK).read_text() == f"{os.getpid()}\n"
        finally:
            os.kill(child, signal.SIGKILL)


def test_one_process_has_one_writer_too(tmp_path):
    with sole_writer(tmp_path), pytest.raises(ValueError, match="is writing there"), sole_writer(tmp_path):
        pass
    with sole_writer(tmp_path):
        pass


def test_who_waits_gets_the_folder_when_it_is_free(tmp_path):
    events = []

    def wait():
        with sole_writer(tmp_path, wait=True):
            events.append("written")

    with sole_writer(tmp_path):
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.2)
        events.append("let go")
    thread.join()
    assert events == ["let go", "written"]
