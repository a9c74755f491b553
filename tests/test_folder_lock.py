"""One writer for a folder: a second is refused or waits, and a lock never outlives its process."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from models.folder_lock import LOCK, sole_writer

HOLD = (
    "import sys; from pathlib import Path; from models.folder_lock import sole_writer\n"
    "with sole_writer(Path(sys.argv[1])):\n"
    "    {work}\n"
    "    print('held', flush=True); sys.stdin.read()\n"
)


def holder(folder: Path, work: str = "pass") -> subprocess.Popen:
    """A process that holds a folder, and has done so by the time this returns."""
    command = [sys.executable, "-c", HOLD.format(work=work), str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_writer_is_refused_until_the_first_is_killed(tmp_path):
    folder = tmp_path / "new" / "run"
    with holder(folder) as process:
        with pytest.raises(ValueError, match=f"{folder}: process {process.pid} is writing there; wait"):
            with sole_writer(folder):
                pass
        process.kill()
        process.wait()
        with sole_writer(folder):
            assert (folder / LOCK).read_text() == f"{os.getpid()}\n"


def test_one_process_has_one_writer_too(tmp_path):
    with sole_writer(tmp_path), pytest.raises(ValueError, match="is writing there"), sole_writer(tmp_path):
        pass
    with sole_writer(tmp_path):
        pass


def test_a_forked_process_does_not_keep_the_lock_of_a_killed_parent(tmp_path):
    sleeper = "import os, time\n    if os.fork() == 0: print(os.getpid(), flush=True); time.sleep(60); os._exit(0)"
    command = [sys.executable, "-c", HOLD.format(work=sleeper), str(tmp_path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        lines = process.stdout.readline(), process.stdout.readline()
        child = int(next(line for line in lines if line != "held\n"))
        process.kill()
        process.wait()
        try:
            with sole_writer(tmp_path):
                os.kill(child, 0)  # it lives still
        finally:
            os.kill(child, signal.SIGKILL)


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
