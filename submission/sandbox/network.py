"""Refuses the network to Python code of this process, and records each attempt. It starts before a submission's code.

An audit hook sees each socket that Python code connects, and it cannot be removed. It does not see sockets of C code
or of other programs; network namespaces stop those (`submission.sandbox.run`). Unix sockets are refused as well,
except those in the process's temporary folder.
"""

import os
import socket
import sys
from typing import Any

_NAME_EVENTS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo")
_DOWNLOADERS = ("curl", "wget", "git", "git-lfs", "pip", "pip3", "aria2c", "gdown", "rsync", "scp", "ssh", "aws")
_ADDRESS_EVENTS = ("socket.connect", "socket.sendto", "socket.sendmsg")


class AuditHook:
    """Refuses the network to this process from now on, and records what its code tried.

    Attributes:
        attempts: attempts to reach the network, each once.
        unpickled: classes and functions that were unpickled, each once.
    """

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self.unpickled: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _NAME_EVENTS:
            self._refuse(f"{event} {arguments[0]!r}")
        elif event in _ADDRESS_EVENTS:
            family = getattr(arguments[0], "family", None)
            if family in (socket.AF_INET, socket.AF_INET6) or (
                family == socket.AF_UNIX and not self._is_own(arguments[1])
            ):
                self._refuse(f"{event} {arguments[1]!r}")
        elif event in ("subprocess.Popen", "os.system"):
            self._note_downloader(event, arguments)
        elif event == "pickle.find_class":
            name = f"{arguments[0]}.{arguments[1]}"
            if name not in self.unpickled:
                self.unpickled.append(name)

    def _is_own(self, address: object) -> bool:
        """Whether a Unix socket is in this process's temporary folder, as those of `multiprocessing` are."""
        if not isinstance(address, str | bytes) or not address:
            return True  # the socket is connected already: socket.sendto without an address
        path = os.path.realpath(os.fsdecode(address))
        return path.startswith(os.path.join(os.path.realpath(os.environ["TMPDIR"]), ""))

    def _note_downloader(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Record the start of a download program. It may start: the network namespace stops its connections."""
        command = arguments[0] if event == "os.system" else arguments[1]
        text = os.fsdecode(command) if isinstance(command, str | bytes) else " ".join(map(os.fsdecode, command))
        if any(os.path.basename(word) in _DOWNLOADERS for word in text.split()):
            self.attempts.append(f"{event} {text[:200]}")

    def _refuse(self, attempt: str) -> None:
        if attempt not in self.attempts:
            self.attempts.append(attempt)
        raise PermissionError(f"no network here: {attempt}")
