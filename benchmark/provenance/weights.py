"""A system's weights on disk: found, identified, downloaded only on request, and not yet loaded."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.running.hashes import sha256

TEST_SET_NOTE = "trained on the MUSDB18 test set: not comparable"
TEST_SET_FLAG, EXTRA_DATA_FLAG, UNKNOWN_DATA_FLAG = "trained on the test set", "extra data", "training data unknown"
"""What a row of weights says that saw the test set, music beside the train split of MUSDB18, or nobody knows what."""
OURS_ROLE, PEER_ROLE, BOUND_ROLE = "ours", "peer", "bound"
"""What a system is in a comparison. Bounds are shown beside the systems and take no part in differences."""


@dataclass(frozen=True)
class Source:
    """A system whose weights were found, not yet loaded; small enough to send to another process.

    Attributes:
        name: as the user wrote it, for example "demucs:htdemucs"; unique in a run.
        label: what its row in the table is called.
        loader: which of the functions below builds it.
        location: checkpoint name, folder or official name, for that function.
        checkpoint: identity of the weights, for example "small@1a2b3c4d".
        digest: hash of everything on disk that its output depends on; results are reused only when it is the same.
        note: what a reader of the row must know.
        warning: what the user must be told before it is loaded.
        flag: TEST_SET_FLAG, EXTRA_DATA_FLAG, UNKNOWN_DATA_FLAG, or "" where there is nothing to say.
        role: OURS_ROLE, PEER_ROLE or BOUND_ROLE; a name says nothing about it.
    """

    name: str
    label: str
    loader: str
    location: str
    checkpoint: str
    digest: str
    note: str = ""
    warning: str = ""
    flag: str = ""
    role: str = PEER_ROLE

    def flagged(self) -> "Source":
        """The same with the flag in its label, which is what its row in every table is called."""
        return replace(self, label=f"{self.label} [{self.flag}]") if self.flag else self


def file_hash(files: list[Path]) -> str:
    """The start of the SHA-256 of the files' contents, one after the other."""
    return sha256(*files)[:8]


def torch_cache() -> Path:
    """Where torch.hub keeps downloaded weights, without importing torch."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or f"{cache}/torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def download_weights(name: str, fetch: Callable[[], Any]) -> None:
    """Run a download that the user asked for; `fetch` does it.

    Raises:
        OSError: whatever went wrong, in one line.
    """
    try:
        fetch()
    except (Exception, SystemExit) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise OSError(f"{name}: the download failed ({reason})") from error
