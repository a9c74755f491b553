"""A training state on disk, with a checksum: a run goes on from what was saved, or says that the file is damaged."""

import hashlib
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.running import atomic

CHECKSUM = "checksum"


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Replace the file by a state and its checksum; if that fails, the file stays as it was.

    Args:
        path: the file.
        state: tensors, numbers, texts, and dicts and lists of them.
    """
    content = {**state, CHECKSUM: checksum(state)}
    with atomic.replacing(path) as part:
        torch.save(content, part)


def load_state(path: Path, keys: set[str]) -> dict[str, Any]:
    """Read a state, on the CPU, without executing any code from the file.

    A file without a checksum is accepted: earlier versions wrote none.

    Args:
        path: the file.
        keys: what the state must consist of.

    Raises:
        ValueError: a damaged file, or none of ours; the message is one line.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # torch warns of foreign pickles, and then refuses them
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch's reader raise almost anything
        reason = " ".join(str(error).split())[:120]
        raise _damaged(path, f"{type(error).__name__}: {reason}") from None
    if not isinstance(state, dict) or set(state) - {CHECKSUM} != keys:
        raise _damaged(path, f"expected {', '.join(sorted(keys))}")
    expected = state.pop(CHECKSUM, None)
    if expected is not None and expected != checksum(state):
        raise _damaged(path, "its content does not have its checksum")
    return state


def checksum(value: Any) -> str:
    """SHA-256 of nested dicts and lists of tensors, numbers and texts: types, shapes, order and every bit."""
    digest = hashlib.sha256()
    _add(value, digest)
    return digest.hexdigest()


def _add(value: Any, digest: Any) -> None:
    if isinstance(value, Tensor):
        digest.update(f"{value.dtype} {list(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    elif isinstance(value, dict):
        digest.update(f"dict of {len(value)}\n".encode())
        for key, each in value.items():
            digest.update(f"{key!r}\n".encode())
            _add(each, digest)
    elif isinstance(value, (list, tuple)):
        digest.update(f"list of {len(value)}\n".encode())
        for each in value:
            _add(each, digest)
    else:
        digest.update(f"{value!r}\n".encode())


def _damaged(path: Path, reason: str) -> ValueError:
    return ValueError(
        f"{path}: not a training state, or damaged ({reason}); begin a new run in another folder, "
        f"with --init {path.parent / 'last'} if that checkpoint is there"
    )
