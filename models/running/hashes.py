"""Hashes of files, of all that is in them: what a result, a checkpoint or a download is recognised by."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def sha256(*paths: Path) -> str:
    """SHA-256 of a file's content, or of several files' contents one after the other, in hexadecimal digits."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def names_and_hashes(files: Iterable[tuple[str, str]]) -> str:
    """One hash, 16 hexadecimal digits, of files in a given order: of the name and the SHA-256 of each."""
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(f"{name}\n{content}\n".encode())
    return digest.hexdigest()[:16]
