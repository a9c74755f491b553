"""A system's weights on disk before they are loaded: their identity, and downloads on request."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.running.hashes import sha256

TEST_SET_NOTE = "trained on the MUSDB18 test set: not comparable"
TEST_SET_FLAG, EXTRA_DATA_FLAG, UNKNOWN_DATA_FLAG = "trained on the test set", "extra data", "training data unknown"
"""Flags of rows by training data: the test set, music besides the train split of MUSDB18, or unknown data."""
OURS_ROLE, PEER_ROLE, BOUND_ROLE = "ours", "peer", "bound"
"""The role of a system in a comparison. Bounds are shown beside the systems but not in the differences."""


@dataclass(frozen=True)
class Source:
    """A system whose weights were found but not loaded; small enough to send to another process.

    Attributes:
        name: as the user wrote it, for example "demucs:htdemucs"; unique in a run.
        label: the name of its row in tables.
        loader: the key in `catalog.LOADERS` of the function that builds it.
        location: checkpoint name, folder or official name, for that function.
        checkpoint: identity of the weights, for example "small@1a2b3c4d".
        digest: hash of everything on disk that its output depends on; results are reused only if it is the same.
        note: a note for readers of the row.
        warning: a warning to print before it is loaded.
        flag: TEST_SET_FLAG, EXTRA_DATA_FLAG, UNKNOWN_DATA_FLAG, or "" for none.
        role: OURS_ROLE, PEER_ROLE or BOUND_ROLE; it does not follow from the name.
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
        """The same with the flag in its label."""
        return replace(self, label=f"{self.label} [{self.flag}]") if self.flag else self


def file_hash(files: list[Path]) -> str:
    """The start of the SHA-256 of the files' contents, one after the other."""
    return sha256(*files)[:8]


def torch_cache() -> Path:
    """The folder in which torch.hub stores downloaded weights, found without importing torch."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or f"{cache}/torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def download_weights(name: str, fetch: Callable[[], Any]) -> None:
    """Run a download that the user asked for.

    Raises:
        OSError: it failed; the message is one line.
    """
    try:
        fetch()
    except (Exception, SystemExit) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise OSError(f"{name}: the download failed ({reason})") from error
