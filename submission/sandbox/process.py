"""What `submission.sandbox.run` runs: it stands where the grader stands, inside a process tree of its own.

It is told by one json argument: `root` (the submission), `send_to` (a file descriptor for messages, one json line
each: [name, content]), `cpus` (how many it may use), and what to do: `tracks` for `separate_tracks`, or `probe_s` for
`submission.sandbox.signals`. Before the submission's code is loaded, our own is put out of its sight.
"""

import importlib.util
import json
import os
import resource
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from models.running.repository import ROOT
from submission.sandbox.network import Guard
from submission.sandbox.signals import probe
from submission.sandbox.strays import WriteWatch

Send = Callable[[str, Any], None]

_WRAPPER = ROOT / "submission/package/kit/my_submission/aicrowd_wrapper.py"


def main() -> None:
    """Do what the argument says; tells "failed" and why when the submission's code raises."""
    arguments = json.loads(sys.argv[1])
    stream = os.fdopen(arguments["send_to"], "w", encoding="utf-8")
    letters = threading.Semaphore(0)
    threading.Thread(target=_listen, args=(letters,), daemon=True).start()

    def send(message: str, content: Any) -> None:
        stream.write(json.dumps([message, content]) + "\n")
        stream.flush()
        letters.acquire()

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments["cpus"]])
    guard = Guard()
    hide_ourselves(Path(arguments["root"]))
    try:
        if "tracks" in arguments:
            separate_tracks(arguments["tracks"], guard, send)
        else:
            probe(load_wrapper, arguments["probe_s"], guard, send)
    except BaseException as error:
        traceback.print_exc()
        stream.write(json.dumps(["failed", describe(error)]) + "\n")
        stream.flush()


def separate_tracks(tracks: Sequence[str], guard: Guard, send: Send) -> None:
    """Build the wrapper ("ready"), then separate one track after the other ("done TRACK")."""
    watch = WriteWatch()
    wrapper = load_wrapper().AIcrowdWrapper()
    send("ready", {"attempts": guard.attempts})
    for track in tracks:
        start = _processor_s()
        wrapper.separate_music_file(track)
        account = getattr(wrapper.model, "account", None)
        told = {"processor_s": _processor_s() - start, "reduced": dict(getattr(account, "reduced", {}))}
        send(f"done {track}", {**told, "attempts": guard.attempts, "written": watch.paths})


def load_wrapper() -> ModuleType:
    """Our stand-in for the kit's wrapper, which imports the submission's `user_config`."""
    spec = importlib.util.spec_from_file_location("my_submission.aicrowd_wrapper", _WRAPPER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hide_ourselves(root: Path) -> None:
    """Make the submission's folder the first place of imports, and take ours away: nothing may be borrowed from it."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("submission", "models")]:
        del sys.modules[name]
    sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
    kept = [entry for entry in sys.path if entry and Path(entry).resolve() not in (ROOT, root)]
    sys.path[:] = [str(root), *kept]


def describe(error: BaseException) -> str:
    """One line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]


def _listen(letters: threading.Semaphore) -> None:
    """Let the next stage go for each line; end everything when nobody is there any more to send one."""
    while sys.stdin.buffer.readline():
        letters.release()
    os._exit(1)


def _processor_s() -> float:
    """Processor time of this process and of the children that have ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
