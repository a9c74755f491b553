"""Opens files of `torch.save` that may be malicious: every size is checked against the file before data is read."""

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from models.importing.pickles import Name, TensorRecord, read_pickle
from models.running import git_lfs

SUFFIXES = (".ckpt", ".pt", ".pth", ".bin", ".th")
DTYPES: Mapping[str, torch.dtype] = {
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.DoubleStorage": torch.float64,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}


@dataclass(frozen=True, eq=False)
class StorageRecord:
    """The numbers in memory that tensors are views of.

    Attributes:
        member: its name in the zip.
        dtype: None for types that are not supported, such as complex numbers.
        numel: number of elements.
    """

    member: str
    dtype: torch.dtype | None
    numel: int


class UntrustedFile:
    """A file in the format of `torch.save`; a context manager.

    Args:
        path: of the file.

    Attributes:
        path: of the file.
        content: the saved object: plain containers, `TensorRecord` and `Placeholder`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another format, damaged, or malicious.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise FileNotFoundError(f"{path}: expected a checkpoint file ({', '.join(SUFFIXES)}), there is none")
        if git_lfs.is_pointer(path):
            raise ValueError(f"{path}: a git-LFS pointer, not weights; run `git lfs pull`")
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path}: expected a file that torch.save wrote (PyTorch 1.6 or newer), got something else ({error})"
            ) from None
        try:
            self._folder = self._find_folder()
            self.content = read_pickle(self._read(f"{self._folder}data.pkl"), self._storage)
        except BaseException as error:
            self._zip.close()
            if isinstance(error, ValueError):
                raise ValueError(f"{path}: {error}") from None
            raise

    def __enter__(self) -> "UntrustedFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._zip.close()

    def tensor(self, record: TensorRecord) -> Tensor:
        """Read a tensor, on the CPU, in the type it was saved in.

        Raises:
            ValueError: its type is not supported, or it is larger than its storage.
        """
        storage = record.storage
        if not isinstance(storage, StorageRecord) or storage.dtype is None:
            raise ValueError(f"{self.path}: a weight of an unsupported type; expected {', '.join(DTYPES)}")
        last = record.offset + sum((size - 1) * step for size, step in zip(record.shape, record.stride, strict=True))
        if record.numel > storage.numel or (record.numel and last >= storage.numel):
            raise ValueError(
                f"{self.path}: a weight of shape {record.shape} does not fit into a storage of {storage.numel} numbers"
            )
        if not record.numel:
            return torch.empty(record.shape, dtype=storage.dtype)
        numbers = torch.frombuffer(bytearray(self._read(storage.member)), dtype=storage.dtype)
        return torch.as_strided(numbers, record.shape, record.stride, record.offset)

    def _find_folder(self) -> str:
        """The folder inside the zip, with its slash.

        Raises:
            ValueError: there is none or more than one, or the members are not stored as torch.save stores them.
        """
        members = self._zip.infolist()
        folders = [member.filename[: -len("data.pkl")] for member in members if _is_root_pickle(member.filename)]
        if len(folders) != 1:
            inside = [member.filename for member in members if member.filename.endswith(SUFFIXES)]
            advice = f"a zip of files ({inside[0]} ...): unpack it first" if inside else "got another zip"
            raise ValueError(f"expected a file that torch.save wrote, with one data.pkl: {advice}")
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("its members are compressed, which torch.save never does; expected plain ones")
        if sum(member.file_size for member in members) > self.path.stat().st_size:
            raise ValueError("its members claim more bytes than the file has")
        names = {member.filename for member in members}
        if f"{folders[0]}byteorder" in names and self._read(f"{folders[0]}byteorder").strip() != b"little":
            raise ValueError("its numbers are big-endian; save it again on a little-endian machine")
        return folders[0]

    def _read(self, member: str) -> bytes:
        try:
            return self._zip.read(member)
        except KeyError:
            raise ValueError(f"damaged: it has no member {member[:80]!r}") from None
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise ValueError(f"damaged, download it again ({error})") from None

    def _storage(self, identity: Any) -> StorageRecord:
        """The storage of a persistent id.

        Raises:
            ValueError: it is not a storage of this file, or claims another size than it has.
        """
        if not (isinstance(identity, tuple) and len(identity) == 5 and identity[0] == "storage"):
            raise ValueError("its pickle is damaged (a storage without its five facts)")
        _, kind, key, _, numel = identity
        if not (isinstance(kind, Name) and isinstance(key, str) and isinstance(numel, int) and numel >= 0):
            raise ValueError("its pickle is damaged (a storage without its five facts)")
        member = f"{self._folder}data/{key}"
        try:
            size = self._zip.getinfo(member).file_size
        except KeyError:
            raise ValueError(f"damaged: storage {key[:20]!r} is not in it") from None
        dtype = DTYPES.get(kind.text)
        if dtype is not None and numel * dtype.itemsize != size:
            raise ValueError(f"storage {key[:20]!r} claims {numel * dtype.itemsize} bytes, but has {size}")
        return StorageRecord(member, dtype, numel)


def _is_root_pickle(name: str) -> bool:
    folder, slash, file = name.rpartition("/")
    return file == "data.pkl" and bool(slash) and "/" not in folder


def tensors_of(mapping: Any) -> Iterator[tuple[str, TensorRecord]]:
    """Names and records of the tensors of a state dict, without its other entries."""
    for name, value in mapping.items():
        if isinstance(name, str) and isinstance(value, TensorRecord):
            yield name, value
