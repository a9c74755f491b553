"""A sandboxed process and all that it starts: no network, limits of time and memory, ended at the end."""

import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from models.running.repository import ROOT
from submission.sandbox import run as isolation
from submission.sandbox.run import Stage, network_barrier, run_child
from submissions import LIGHT_CLASS, edit, write_light_submission


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_light_submission(tmp_path / "light")


def run(root: Path, code: str = "pass", build_s: float = 60.0, memory_bytes: int = 10**9) -> isolation.Outcome:
    """Build the class of a light submission with some code in `__init__`."""
    edit(root / "my_submission/user_config.py", "pass  # here", code)
    scratch = root.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    return run_child(
        {"root": str(root), "cpus": 4, "music_s": 0.1}, [Stage("built", build_s)], root, scratch, {}, memory_bytes
    )


def test_messages_times_and_memory_come_back(root: Path):
    outcome = run(root)
    assert not outcome.failure, outcome
    assert outcome.messages["built"]["instruments"] == ["bass", "drums", "other", "vocals"]
    assert 0 < outcome.took_s["built"] < 60
    assert outcome.peak_bytes is None or outcome.peak_bytes > 10**6


class Listener:
    """A server on this machine that counts its connections."""

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


def test_python_code_has_no_network(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(isolation, "_namespace_command", lambda: ())  # only the audit hook
    assert "Python's sockets only" in network_barrier()
    with Listener() as listener:
        outcome = run(root, f"import socket; socket.socket().connect(('127.0.0.1', {listener.port}))")
        assert listener.visitors == 0
    assert outcome.failure.startswith("PermissionError: no network here: socket.connect ('127.0.0.1',")


@pytest.mark.skipif(not isolation._namespace_command(), reason="this machine allows no network namespace")
def test_other_programs_have_no_network(root: Path):
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


def test_a_time_limit_ends_the_process_and_all_that_it_started(root: Path):
    mark = f"sleeper-{os.getpid()}-{time.time_ns()}"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)', '{mark}'])"
    outcome = run(root, code, build_s=2.0)
    assert outcome.is_late and outcome.failure == "built: not done after 2.00 s"
    wait_until(lambda: not running(mark), seconds=5.0)


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


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="this system has no /proc")
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
        ("import ctypes; ctypes.string_at(0)", "was ended by signal 11 (SIGSEGV)"),
        ("raise RuntimeError('a\\nb')", "RuntimeError: a b"),
        ("import sys; sys.exit('enough')", "SystemExit: enough"),
    ],
)
def test_the_failure_says_how_the_process_ended(root: Path, code: str, failure: str):
    assert run(root, code).failure == failure


def test_the_users_caches_and_our_code_are_not_visible(root: Path, monkeypatch: pytest.MonkeyPatch):
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
    assert "'submission.sandbox.network'" not in rest and "'my_submission.user_config'" in rest


def test_the_process_has_only_the_allowed_variables(root: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "MUSDB_PATH", "LD_PRELOAD_NOT"):
        monkeypatch.setenv(name, "/somewhere")
    monkeypatch.setenv("TZ", "UTC")
    outcome = run(root, "import os; print(*os.environ)")
    names = set(outcome.log.split())
    own = {"HOME", "TMPDIR", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    assert {"TZ", *own} <= names <= {*isolation._ENVIRONMENT, *own}


confined = pytest.mark.skipif(not isolation._can_confine(), reason="this machine allows no mount namespace")


@confined
def test_files_are_read_only_except_in_the_processs_own_folders(root: Path, tmp_path: Path):
    outside = tmp_path / "outside.txt"
    outside.write_text("before")
    places = ["/etc/new.txt", str(Path.home() / "new.txt"), str(Path(isolation.__file__)), "/proc/sys/vm/swappiness"]
    code = (
        "import os, tempfile; tempfile.mkstemp(); open('/tmp/mine', 'w'); open('cache.txt', 'w'); "
        f"os.system('mkdir -p {tmp_path}; echo after > {outside}'); places = {places!r}; "
        "wrote = [os.access(place, os.W_OK) or os.access(os.path.dirname(place), os.W_OK) for place in places]; "
        "print('wrote', wrote); "
        "print('again', os.system('mount -o remount,rw / || umount /tmp || mount -t tmpfs none /mnt'))"
    )
    outcome = run(root, code)
    assert not outcome.failure, outcome
    assert "wrote [False, False, False, False]" in outcome.log and "again 0" not in outcome.log
    assert outside.read_text() == "before" and not Path("/tmp/mine").exists()
    assert (root / "cache.txt").exists()  # its own folder, as on the grader


@confined
def test_no_program_can_connect_to_unix_sockets(root: Path):
    """One socket is in a covered folder; one is among the submission's files and is covered by itself."""
    with tempfile.TemporaryDirectory(prefix="bandsplit-test-") as folder:
        places = [Path(folder, "socket"), root / "socket"]
        servers = [socket.socket(socket.AF_UNIX) for _ in places]
        for server, place in zip(servers, places, strict=True):
            server.bind(str(place))
            server.listen()
            server.settimeout(0)
        program = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
        calls = [f"subprocess.run([sys.executable, '-c', {program!r}, {str(place)!r}])" for place in places]
        outcome = run(root, f"import subprocess, sys; {'; '.join(calls)}")
        assert not outcome.failure
        assert "FileNotFoundError" in outcome.log and "ConnectionRefusedError" in outcome.log
        for server in servers:
            with server, pytest.raises(BlockingIOError):
                server.accept()


def test_without_namespaces_unix_sockets_are_refused_to_python(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(isolation, "_namespace_command", lambda: ())
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        outcome = run(root, f"import socket; socket.socket(socket.AF_UNIX).connect({str(tmp_path / 's')!r})")
    assert outcome.failure.startswith("PermissionError: no network here: socket.connect '")


def test_a_socket_in_the_temporary_folder_is_allowed(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(isolation, "_namespace_command", lambda: ())
    code = (
        "import os, socket; os.chdir(os.environ['TMPDIR']); server = socket.socket(socket.AF_UNIX); "
        "server.bind('s'); server.listen(); socket.socket(socket.AF_UNIX).connect(os.path.abspath('s'))"
    )
    assert not run(root, code).failure


def test_the_report_says_which_isolation_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(isolation, "_namespace_command", lambda: ("unshare", "--net"))
    monkeypatch.setattr(isolation, "_is_confined_by", lambda namespace: False)
    assert network_barrier() == "network namespace; files NOT read-only (no mount namespace here)"
    monkeypatch.setattr(isolation, "_namespace_command", lambda: ())
    assert network_barrier().startswith("Python's sockets only")


WRITE = "import gc, io; pipe = next(o for o in gc.get_objects() if isinstance(o, io.TextIOWrapper) and o.name > 2); "


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("pipe.buffer.write(b'no json\\n')", "expected json, got b'no json' (JSONDecodeError)"),
        ("pipe.buffer.write(b'\\xff\\xfe\\n')", "expected json, got"),
        ("pipe.write('[' * 100000 + chr(10))", "expected json, got too many brackets"),
        ("pipe.write('[1, 2, 3]' + chr(10))", "expected [name, content], got [1, 2, 3]"),
        ("pipe.write(chr(10))", "expected a message, got an empty line"),
        ("pipe.write('x' * 3000000)", "expected a line of at most 1048576 bytes, got a longer one"),
        ("pipe.write('[\"modules\", {}]' + chr(10))", "expected 'built', got 'modules'"),
        ("pipe.write('[\"built\", 7]' + chr(10))", "expected an object, got int"),
        ("pipe.write('[\"failed\", {}]' + chr(10))", "expected a text, got dict"),
    ],
)
def test_invalid_messages_end_the_process_with_one_line(root: Path, code: str, failure: str):
    outcome = run(root, WRITE + f"{code}; pipe.flush(); import time; time.sleep(600)")
    assert outcome.failure.startswith(f"sent an invalid message: {failure}")
    assert "\n" not in outcome.failure and len(outcome.failure) < 200


def test_a_log_of_any_length_is_cut_to_its_printable_end(root: Path):
    outcome = run(root, "print('x' * 1000000); print(chr(27) + '[31mred'); raise RuntimeError('end')")
    assert outcome.failure == "RuntimeError: end"
    assert len(outcome.log) < 70_000 and "?[31mred" in outcome.log


def test_a_submission_cannot_import_our_repository(root: Path):
    outcome = run(root, "import submission.predictor.predictor")
    assert outcome.failure.startswith("ModuleNotFoundError: No module named 'submission")


def test_a_process_whose_parent_was_killed_ends(root: Path):
    """A killed parent cannot end the process; the process ends itself because its stdin closes."""
    mark = f"orphan-{time.time_ns()}"
    (root / "my_submission/user_config.py").write_text(
        LIGHT_CLASS.replace("pass  # here", "import time; open('started', 'w').close(); time.sleep(600)")
    )
    (root.parent / "scratch").mkdir()
    program = (
        "import sys; from pathlib import Path; from submission.sandbox.run import Stage, run_child; "
        f"run_child({{'root': {str(root)!r}, 'cpus': 1, 'music_s': 0.1, 'mark': {mark!r}}}, [Stage('built', 600)], "
        f"Path({str(root)!r}), Path({str(root.parent / 'scratch')!r}), {{}}, 10**9)"
    )
    import subprocess

    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
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
