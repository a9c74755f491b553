"""A child of the evaluator: off the network with all that it starts, limited in time and memory, gone at the end."""

import os
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from submission import isolation
from submission.isolation import Stage, network_barrier, run_child
from submissions import LIGHT_CLASS, edit, write_light_submission


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_light_submission(tmp_path / "light")


def run(root: Path, code: str = "pass", build_s: float = 60.0, memory_bytes: int = 10**9) -> isolation.Outcome:
    """Build the class of a light submission with some code in `__init__`."""
    edit(root / "my_submission/user_config.py", "pass  # here", code)
    scratch = root.parent / "scratch"
    scratch.mkdir()
    return run_child(
        {"root": str(root), "cpus": 4, "probe_s": 0.1}, [Stage("built", build_s)], root, scratch, {}, memory_bytes
    )


def test_messages_times_and_memory_come_back(root: Path):
    outcome = run(root)
    assert not outcome.failure, outcome
    assert outcome.messages["built"]["instruments"] == ["bass", "drums", "other", "vocals"]
    assert 0 < outcome.took_s["built"] < 60
    assert outcome.peak_bytes is None or outcome.peak_bytes > 10**6


class Listener:
    """A server on this machine that counts who reaches it."""

    def __enter__(self) -> "Listener":
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.visitors = 0
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def _serve(self) -> None:
        try:
            while True:
                self.socket.accept()[0].close()
                self.visitors += 1
        except OSError:
            pass

    def __exit__(self, *exception) -> None:
        self.socket.close()


def test_python_code_reaches_nobody(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(isolation, "_namespace_command", lambda: ())  # the guard alone
    assert "Python's sockets only" in network_barrier()
    with Listener() as listener:
        outcome = run(root, f"import socket; socket.socket().connect(('127.0.0.1', {listener.port}))")
        assert listener.visitors == 0
    assert outcome.failure.startswith("PermissionError: no network here: socket.connect ('127.0.0.1',")


@pytest.mark.skipif(not isolation._namespace_command(), reason="this machine allows no network namespace")
def test_other_programs_reach_nobody_either(root: Path):
    program = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5)"
    with Listener() as listener:
        code = (
            "import subprocess, sys; "
            f"print('exit', subprocess.run([sys.executable, '-c', {program!r}, '{listener.port}']).returncode)"
        )
        outcome = run(root, code)
        assert listener.visitors == 0
    assert not outcome.failure
    assert "exit 1" in outcome.log and "Error" in outcome.log


def test_what_takes_too_long_is_ended_with_all_that_it_started(root: Path):
    mark = f"sleeper-{os.getpid()}-{time.time_ns()}"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)', '{mark}'])"
    outcome = run(root, code, build_s=2.0)
    assert outcome.is_late and outcome.failure == "built: not done after 2.00 s"
    for _ in range(100):
        if not running(mark):
            break
        time.sleep(0.05)
    assert not running(mark)


def running(mark: str) -> list[int]:
    """Processes with a text among their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="this system tells nothing of its processes")
def test_memory_counts_over_the_whole_tree(root: Path):
    hog = "x = bytearray(150_000_000); import time; time.sleep(600)"
    start = f"subprocess.Popen([sys.executable, '-c', {hog!r}])"
    code = f"import subprocess, sys; others = [{start} for _ in 'abc']; others[0].wait()"
    outcome = run(root, code, memory_bytes=400_000_000)
    assert outcome.failure == "used more than 0.4 GB of memory"
    assert outcome.peak_bytes is not None and outcome.peak_bytes > 400_000_000


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("import os; os._exit(7)", "ended with exit code 7 before it was done"),
        ("raise RuntimeError('a\\nb')", "RuntimeError: a b"),
        ("import sys; sys.exit('enough')", "SystemExit: enough"),
    ],
)
def test_how_it_ended_is_told(root: Path, code: str, failure: str):
    assert run(root, code).failure == failure


def test_caches_of_the_user_and_our_code_are_out_of_sight(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", "/somewhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://example.org")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    code = (
        "import os, sys; "
        "print(os.path.expanduser('~'), sorted(os.environ), [n for n in sys.modules if 'submission' in n])"
    )
    outcome = run(root, code)
    home, rest = outcome.log.split(" ", 1)
    assert home == str(root.parent / "scratch")
    assert not {"'TORCH_HOME'", "'HTTPS_PROXY'", "'PYTHONPATH'"} & set(rest.replace("[", "").split(", "))
    assert "'submission.guard'" not in rest and "'my_submission.user_config'" in rest


def test_code_that_only_our_repository_has_cannot_be_borrowed(root: Path):
    outcome = run(root, "import submission.predictor")
    assert outcome.failure.startswith("ModuleNotFoundError: No module named 'submission")


def test_a_child_whose_parent_is_gone_ends(root: Path):
    """The parent is killed, so that it cannot tidy up; the child notices that nobody is there any more."""
    mark = f"orphan-{time.time_ns()}"
    (root / "my_submission/user_config.py").write_text(
        LIGHT_CLASS.replace("pass  # here", "import time; open('started', 'w').close(); time.sleep(600)")
    )
    (root.parent / "scratch").mkdir()
    program = (
        "import sys; from pathlib import Path; from submission.isolation import Stage, run_child; "
        f"run_child({{'root': {str(root)!r}, 'cpus': 1, 'probe_s': 0.1, 'mark': {mark!r}}}, [Stage('built', 600)], "
        f"Path({str(root)!r}), Path({str(root.parent / 'scratch')!r}), {{}}, 10**9)"
    )
    import subprocess

    parent = subprocess.Popen([sys.executable, "-c", program], cwd=Path(isolation.__file__).parents[1])
    wait_until(lambda: (root / "started").exists())
    assert running_with(mark)
    parent.kill()
    parent.wait()
    wait_until(lambda: not running_with(mark))


def running_with(text: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes()
        except OSError:
            continue
        if text.encode() in arguments and b"run_child" not in arguments:
            found.append(int(path.parent.name))
    return found


def wait_until(is_true, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
