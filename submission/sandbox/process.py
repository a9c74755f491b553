"""The program of the sandboxed process that `submission.sandbox.run` starts: it calls a submission as the grader does.

It takes one json argument with `root` (the submission's folder), `send_to` (a file descriptor for messages, one json
line each: [name, content]) and `cpus` (how many it may use). With `tracks` it runs `separate_tracks`; with `music_s` it
runs `submission.sandbox.signals`. This repository is removed from the import path before the submission is loaded.
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
from submission.sandbox.network import AuditHook
from submission.sandbox.signals import ask_for_stems
from submission.sandbox.written_elsewhere import WriteWatch

Send = Callable[[str, Any], None]

_WRAPPER = ROOT / "submission/package/kit/my_submission/aicrowd_wrapper.py"


def main() -> None:
    """Run the task of the json argument; sends "failed" and the reason when the submission's code raises."""
    arguments = json.loads(sys.argv[1])
    stream = os.fdopen(arguments["send_to"], "w", encoding="utf-8")
    permits = threading.Semaphore(0)
    threading.Thread(target=_listen, args=(permits,), daemon=True).start()

    def send(message: str, content: Any) -> None:
        stream.write(json.dumps([message, content]) + "\n")
        stream.flush()
        permits.acquire()

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments["cpus"]])
    audit = AuditHook()
    hide_repository(Path(arguments["root"]))
    try:
        if "tracks" in arguments:
            separate_tracks(arguments["tracks"], audit, send)
        else:
            ask_for_stems(load_wrapper, arguments["music_s"], audit, send)
    except BaseException as error:
        traceback.print_exc()
        stream.write(json.dumps(["failed", describe(error)]) + "\n")
        stream.flush()


def separate_tracks(tracks: Sequence[str], audit: AuditHook, send: Send) -> None:
    """Build the wrapper ("ready"), then separate one track after the other ("done TRACK")."""
    watch = WriteWatch()
    wrapper = load_wrapper().AIcrowdWrapper()
    send("ready", {"attempts": audit.attempts})
    for track in tracks:
        start = _processor_s()
        wrapper.separate_music_file(track)
        account = getattr(wrapper.model, "account", None)
        measured = {"processor_s": _processor_s() - start, "reduced": dict(getattr(account, "reduced", {}))}
        send(f"done {track}", {**measured, "attempts": audit.attempts, "written": watch.paths})


def load_wrapper() -> ModuleType:
    """Our replacement for the kit's wrapper module; it imports the submission's `user_config`."""
    spec = importlib.util.spec_from_file_location("my_submission.aicrowd_wrapper", _WRAPPER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hide_repository(root: Path) -> None:
    """Put the submission's folder first in the import path and remove ours, so that it cannot import our code."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("submission", "models")]:
        del sys.modules[name]
    sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
    kept = [entry for entry in sys.path if entry and Path(entry).resolve() not in (ROOT, root)]
    sys.path[:] = [str(root), *kept]


def describe(error: BaseException) -> str:
    """An error as one line of at most 500 characters."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]


def _listen(permits: threading.Semaphore) -> None:
    """Allow the next stage for each line on stdin; end the process when stdin closes: the parent has ended."""
    while sys.stdin.buffer.readline():
        permits.release()
    os._exit(1)


def _processor_s() -> float:
    """Processor time of this process and of the processes that it started and that have ended, seconds."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
