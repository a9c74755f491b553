"""The data and the trials of a search in a storage that all machines reach, for clusters without a shared disk.

A worker takes the pack from the storage once, and a trial's folder when it begins; it returns the folder at each
validation and at the end. The process that started the search takes the folders from there. A copy that is cut off is
never seen: a folder is written under a new name, and a pointer to it is written when it is complete.
"""

import shutil
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.running import atomic
from models.running.folder_lock import LOCK, sole_writer

POINTER, IDENTITY, COMPLETE = "current", "storage-id", "complete"
PACK = "pack"
"""Name of the stored pack."""


@dataclass(frozen=True)
class Exchange:
    """A place in a storage for one search.

    Attributes:
        uri: of the storage: a folder, or what ``pyarrow.fs`` reads, such as ``s3://bucket/path``.
        identity: of the search.
    """

    uri: str
    identity: str

    def has(self, name: str) -> bool:
        """Whether a folder is stored under a name."""
        return bool(self._version(name))

    def ray_path(self) -> str:
        """Where Ray keeps its own records."""
        return f"{self._uri.rstrip('/')}/{self.identity}"

    def send(self, folder: Path, name: str) -> None:
        """Store a folder under a name, in place of the earlier one."""
        from pyarrow import fs

        system, root = self._place()
        version, pointer = uuid.uuid4().hex, f"{root}/{name}/{POINTER}"
        earlier = self._version(name)
        system.create_dir(f"{root}/{name}/{version}", recursive=True)
        fs.copy_files(str(folder), f"{root}/{name}/{version}", destination_filesystem=system)
        with system.open_output_stream(f"{pointer}-{version}") as file:
            file.write(version.encode())
        system.move(f"{pointer}-{version}", pointer)
        if earlier:
            system.delete_dir(f"{root}/{name}/{earlier}")

    def receive(self, name: str, folder: Path) -> bool:
        """Replace the files in a folder by the stored ones; False, and nothing done, if none are stored."""
        from pyarrow import fs

        system, root = self._place()
        if not (version := self._version(name)):
            return False
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        fs.copy_files(f"{root}/{name}/{version}", str(part), source_filesystem=system)
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            if old.name != LOCK and not (part / old.name).exists():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        for new in part.iterdir():
            if new.name == LOCK:
                continue
            if new.is_dir():
                shutil.rmtree(folder / new.name, ignore_errors=True)
            new.replace(folder / new.name)
        shutil.rmtree(part, ignore_errors=True)
        return True

    def local_folder(self) -> Path:
        """This machine's folder for the search; it may be deleted after it."""
        return Path(tempfile.gettempdir()) / f"bandsplit-search-{self.identity}"

    def pack(self) -> Path:
        """The pack on this machine, taken from the storage the first time.

        Raises:
            FileNotFoundError: the storage holds none.
        """
        folder = self.local_folder() / PACK
        with sole_writer(self.local_folder(), wait=True):  # workers of this machine begin at the same time
            if not (self.local_folder() / COMPLETE).exists():
                if not self.receive(PACK, folder):
                    raise FileNotFoundError(f"{self.uri}: expected the data of the search, got none")
                (self.local_folder() / COMPLETE).touch()
        return folder

    def _version(self, name: str) -> str:
        """The stored version of a folder; "" if there is none."""
        system, root = self._place()
        try:
            with system.open_input_stream(f"{root}/{name}/{POINTER}") as file:
                return file.read().decode()
        except FileNotFoundError:
            return ""

    @property
    def _uri(self) -> str:
        return self.uri if "://" in self.uri else Path(self.uri).resolve().as_uri()

    def _place(self) -> tuple[Any, str]:
        from pyarrow import fs

        system, path = fs.FileSystem.from_uri(self._uri)
        return system, f"{path.rstrip('/')}/{self.identity}"


def open_exchange(uri: str, out: Path) -> Exchange:
    """The place of a search in a storage; a resumed search has the same.

    Args:
        uri: see ``Exchange``.
        out: folder of the search.

    Raises:
        ValueError: the storage cannot be used.
    """
    if not (out / IDENTITY).exists():
        atomic.write_text(out / IDENTITY, f"{uuid.uuid4().hex[:12]}\n")
    exchange = Exchange(uri, (out / IDENTITY).read_text().strip())
    try:
        exchange.has(PACK)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"--storage: expected a folder or address that all machines reach, got {uri} ({reason})"
        ) from None
    return exchange
