"""Runs a submission's code as the grader does: a fresh process tree, no network, a limit on time and one on memory.

A Linux network namespace (`unshare`) removes the network for every program of the tree. If the machine allows none, an
audit hook in the sandboxed process refuses only Python's sockets. In a mount namespace the file system is read-only
except for the process's own folders (`submission.sandbox.mounts`). `network_barrier` returns what applies here.

The memory of the whole tree is read from outside, 20 times a second. RLIMIT_AS cannot be used: it counts addresses, of
which CUDA reserves far more than 16 GB, and it limits each process alone. A control group would be exact, but only an
administrator of the machine can make one.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from models.running.child_process import how_it_ended, kill_group, last_lines
from models.running.repository import ROOT
from submission.sandbox.messages import FAILED, LineReader, MessageError, parse, printable
from submission.sandbox.mounts import unix_sockets

POLL_S = 0.05
_NAMESPACE_COMMANDS = tuple(
    ("unshare", *user, "--net", "--pid", "--fork", "--kill-child", *proc)
    for user in ((), ("--user", "--map-root-user"))
    for proc in (("--mount-proc",), ())
)
_ENVIRONMENT = (
    *("PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH"),
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    *("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "CUDA_HOME"),
)
"""The only variables of this process that a sandboxed process gets."""
_OWN_FOLDERS = ("AICROWD_PUBLIC_SHARED_DIR",)
"""Variables that name folders in which a sandboxed process may write."""


@dataclass(frozen=True)
class Stage:
    """A message that the process must send, and its time limit, seconds, from the message before (or the start)."""

    message: str
    limit_s: float


@dataclass
class Outcome:
    """The outcome of a sandboxed process.

    Attributes:
        messages: the content of each message, by name.
        took_s: seconds that each stage took.
        peak_bytes: the largest memory of the tree that was measured; None where the system does not report it.
        failure: why it ended before the last stage, else "".
        is_late: whether it missed a time limit.
        log: the last lines of its stdout and stderr.
    """

    messages: dict[str, Any] = field(default_factory=dict)
    took_s: dict[str, float] = field(default_factory=dict)
    peak_bytes: int | None = None
    failure: str = ""
    is_late: bool = False
    log: str = ""


@cache
def _namespace_command() -> tuple[str, ...]:
    """The first way of making a network namespace that works here; empty if none does."""
    if shutil.which("unshare") is None:
        return ()
    for command in _NAMESPACE_COMMANDS:
        try:
            if subprocess.run([*command, "true"], capture_output=True, timeout=10, check=False).returncode == 0:
                return command
        except (OSError, subprocess.TimeoutExpired):
            continue
    return ()


def _can_confine() -> bool:
    """Whether the file system can be made read-only here; only within the other namespaces."""
    return _is_confined_by(_namespace_command())


@cache
def _is_confined_by(namespace: tuple[str, ...]) -> bool:
    """Whether `submission.sandbox.mounts.confine` works here; it is tried once, in a process without a submission."""
    if not namespace:
        return False
    with tempfile.TemporaryDirectory(prefix="bandsplit-") as folder:
        told = {"confine": {"writable": [folder], "readable": _readable({}), "sockets": []}}
        program = f"{_BEGIN}; open({folder + '/file'!r}, 'w')"
        command = [*namespace, sys.executable, "-c", program, json.dumps(told)]
        try:
            return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False


def network_barrier() -> str:
    """How the network and the files of this machine are protected, as text for reports."""
    network = "network namespace" if _namespace_command() else "Python's sockets only (no network namespace here)"
    files = "the rest of the files is read-only" if _can_confine() else "files NOT read-only (no mount namespace here)"
    return f"{network}; {files}"


def run_child(
    arguments: Mapping[str, Any],
    stages: Sequence[Stage],
    folder: Path,
    scratch: Path,
    environment: Mapping[str, str],
    memory_bytes: int,
    at_stage: Callable[[str, Outcome], None] = lambda message, outcome: None,
) -> Outcome:
    """Run `submission.sandbox.process` and end it, and all that it started, at the end.

    Args:
        arguments: its json argument (see `submission.sandbox.process`).
        stages: the messages it must send, in order; after each, a line on its stdin lets it go on.
        folder: its working folder: the submission's root.
        scratch: an existing empty folder for its home, temporary files and log.
        environment: variables in addition to the few of this process.
        memory_bytes: limit for all of its processes together; above it they are ended.
        at_stage: called with each message that came in time, and the outcome so far, while the process waits.

    Returns:
        Its messages, and how it ended. A failure of the process is in the outcome and raises nothing.
    """
    receiver, sender = os.pipe()
    program = f"{_BEGIN}; from submission.sandbox.process import main; main()"
    told = {**arguments, "send_to": sender, "confine": _confinement(folder, scratch, environment)}
    command = [*_namespace_command(), sys.executable, "-c", program, json.dumps(told)]
    outcome = Outcome()
    reader = LineReader(receiver)
    with (scratch / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_child_environment(scratch, environment),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=(sender,),
            start_new_session=True,
        )
        os.close(sender)
        try:
            _follow(process, reader, stages, memory_bytes, outcome, at_stage)
        except MessageError as error:
            outcome.failure = f"sent an invalid message: {error}"
        finally:
            _end(process)
            reader.close()
    with (scratch / "log.txt").open("rb") as log:  # which the child may have made as long as it likes
        outcome.log = printable("\n".join(last_lines(log, 15)))
    return outcome


def _follow(
    process: subprocess.Popen,
    reader: LineReader,
    stages: Sequence[Stage],
    memory_bytes: int,
    outcome: Outcome,
    at_stage: Callable[[str, Outcome], None],
) -> None:
    """Wait for the stages, one after the other, and enforce the limits on time and memory.

    Raises:
        MessageError: the process sent an invalid message.
    """
    for stage in stages:
        begun = time.perf_counter()
        while True:
            line = reader.read(POLL_S)
            took_s = time.perf_counter() - begun
            if line is not None:
                if not line:
                    outcome.failure = _how_it_ended(process)
                    return
                message, content = parse(line, stage.message)
                outcome.messages[message] = content
                if message == FAILED:
                    outcome.failure = content
                    return
                if took_s <= stage.limit_s:
                    outcome.took_s[message] = took_s
                    break
            if took_s > stage.limit_s:
                outcome.failure = f"{stage.message}: not done after {stage.limit_s:.2f} s"
                outcome.is_late = True
                return
            used = _tree_bytes(process.pid)
            if used is not None:
                outcome.peak_bytes = max(used, outcome.peak_bytes or 0)
                if used > memory_bytes:
                    outcome.failure = f"used more than {memory_bytes / 1e9:.1f} GB of memory"
                    return
        at_stage(stage.message, outcome)
        with contextlib.suppress(BrokenPipeError):
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()


def _confinement(folder: Path, scratch: Path, environment: Mapping[str, str]) -> dict[str, list[str]] | None:
    """What `submission.sandbox.mounts.confine` is to be called with; None where it does not work."""
    if not _can_confine():
        return None
    own = [folder, scratch, *(Path(environment[name]) for name in _OWN_FOLDERS if name in environment)]
    writable = sorted({str(path.resolve()) for path in own})
    return {"writable": writable, "readable": _readable(environment), "sockets": unix_sockets()}


def _readable(environment: Mapping[str, str]) -> list[str]:
    """Folders that must stay readable: Python's, and those that the process's variables name."""
    named = [Path(value) for name, value in environment.items() if name.startswith("AICROWD_") and value]
    folders = [ROOT, Path(sys.prefix), Path(sys.base_prefix), *map(Path, sys.path), *named]
    return sorted({str(path.absolute()) for path in folders if path.is_dir()})


def _child_environment(scratch: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The allowed variables of this process, and what makes the scratch folder its home."""
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    own = {"HOME": str(scratch), "TMPDIR": str(scratch), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    return {**kept, **own, **environment}


def _end(process: subprocess.Popen) -> None:
    """Kill the rest of the tree: the process group, and with a process namespace everything in it."""
    kill_group(process.pid)
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    process.wait()


def _how_it_ended(process: subprocess.Popen) -> str:
    try:
        code = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return "stopped answering"
    if _namespace_command() and code > 128:  # how `unshare` tells of a signal that ended what it started
        code = 128 - code
    return how_it_ended(code) + (" before it was done" if code >= 0 else "")


def _tree_bytes(root: int) -> int | None:
    """Memory of a process and its descendants: resident pages, shared ones counted once for each process."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
    if not parents:
        return None
    members, size = {root}, 0
    while len(members) > size:
        size = len(members)
        members |= {pid for pid, parent in parents.items() if parent in members}
    total = 0
    for pid in members:
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    return total


_BEGIN = (
    f"import json, sys; sys.path.insert(0, {str(ROOT)!r}); from submission.sandbox.mounts import confine; "
    "told = json.loads(sys.argv[1])['confine']; told and confine(**told)"
)
"""The start of the process's program. It must come before imports that start threads."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
