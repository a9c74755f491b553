"""A public checkpoint's weights under their original names; a weight's values are read when it is used."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.importing.pickles import Placeholder, TensorRecord
from models.importing.untrusted import UntrustedFile, tensors_of

PREFIX = "model."
"""Lightning's prefix of the weights of a network that is part of a training module."""
SHOWN = 4
"""Largest number of names in a message."""
LONGEST = 100
"""Largest number of characters of a name in a message."""


class Weights:
    """The weights of one network, from one file or several shards.

    Args:
        files: open files; the caller closes them.

    Attributes:
        path: of the first file, for messages.
        facts: plain values of `hyper_parameters`, if a file has them.
        shapes: shape of each weight, by name.

    Raises:
        ValueError: a file holds no weights, or two files hold the same.
    """

    def __init__(self, files: Iterable[UntrustedFile]) -> None:
        self.facts: dict[str, Any] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._places: dict[str, tuple[UntrustedFile, TensorRecord]] = {}
        for file in files:
            content = file.content
            if not isinstance(content, dict):
                raise ValueError(f"{file.path}: expected a state dict or a Lightning checkpoint, got another object")
            state = content.get("state_dict", content)
            found = dict(tensors_of(state)) if isinstance(state, dict) else {}
            if not found:
                raise ValueError(f"{file.path}: expected weights by name (a state_dict), got none")
            if twice := sorted(set(found) & set(self._places)):
                raise ValueError(f"{file.path}: {twice[0][:LONGEST]} is in two files of one network")
            self._places |= {name: (file, record) for name, record in found.items()}
            self.facts |= _plain_mapping(content.get("hyper_parameters"))
            self.path: Path = getattr(self, "path", file.path)
        self.shapes = {name: record.shape for name, (_, record) in self._places.items()}

    def rename(self, names: Mapping[str, str | None]) -> None:
        """Rename weights; a new name of None removes the weight."""
        self._places = {new: place for old, place in self._places.items() if (new := names.get(old, old)) is not None}
        self.shapes = {name: record.shape for name, (_, record) in self._places.items()}

    def strip_prefix(self, ignored: tuple[str, ...]) -> None:
        """Remove Lightning's prefix from the names, and the weights whose names begin with one of `ignored`."""
        if any(name.startswith(PREFIX) for name in self.shapes):
            self.rename(
                {
                    name: name.removeprefix(PREFIX) if name.startswith(PREFIX) else None
                    for name in self.shapes
                    if name.startswith((PREFIX, *ignored))
                }
            )

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a weight.

        Raises:
            ValueError: there is none of this name.
        """
        if name not in self.shapes:
            raise ValueError(f"{self.path}: weight {name} is missing")
        return self.shapes[name]

    def count(self, pattern: str) -> int:
        """Count the numbers, from 0 on, at ``#`` in the names that begin with a pattern such as ``separator.#.``.

        Raises:
            ValueError: a number is missing.
        """
        before, _, after = pattern.partition("#")
        search = re.compile(f"{re.escape(before)}(\\d{{1,6}}){re.escape(after)}")
        found = {int(match[1]) for name in self.shapes if (match := search.match(name))}
        if missing := sorted(set(range(len(found))) - found):
            raise ValueError(f"{self.path}: weights {pattern.replace('#', str(missing[0]))}* are missing")
        return len(found)

    def sample(self) -> str:
        """A few of the names, for messages."""
        return _listed(sorted(self.shapes))

    def check(self, expected: Mapping[str, tuple[int, ...]]) -> None:
        """Compare names and shapes with those of a network of this layout.

        Raises:
            ValueError: weights are missing, unexpected or of another shape; the message names them.
        """
        missing = [name for name in expected if name not in self.shapes]
        extra = [name for name in self.shapes if name not in expected]
        other = [
            f"{name} is {list(self.shapes[name])}, expected {list(shape)}"
            for name, shape in expected.items()
            if name in self.shapes and self.shapes[name] != shape
        ]
        faults = [
            f"{len(names)} of {len(expected)} {what}: {_listed(names)}"
            for what, names in (("missing", missing), ("of another shape", other))
            if names
        ]
        if extra:
            faults.append(f"{len(extra)} unexpected: {_listed(extra)}")
        if faults:
            raise ValueError(f"{self.path}: weights {'; '.join(faults)}")

    def __getitem__(self, name: str) -> Tensor:
        """A weight as float32.

        Raises:
            ValueError: it is missing, or its record does not fit its file.
        """
        self.shape(name)
        file, record = self._places[name]
        return file.tensor(record).to(torch.float32)

    def stack(self, names: Iterable[str]) -> Tensor:
        """Weights of one shape, stacked along a new first dimension."""
        return torch.stack([self[name] for name in names])


def _listed(names: Sequence[str]) -> str:
    more = " ..." if len(names) > SHOWN else ""
    return ", ".join(name[:LONGEST] for name in names[:SHOWN]) + more


def plain(value: Any, depth: int = 0) -> Any:
    """A value as plain data: the content of OmegaConf's placeholders, None for other objects."""
    if depth > 8:
        return None
    if isinstance(value, dict):
        return {key: plain(item, depth + 1) for key, item in value.items() if isinstance(key, str)}
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, Placeholder):
        state = value.state if isinstance(value.state, dict) else {}
        if value.items:
            return plain({key: item for key, item in value.items if isinstance(key, str)}, depth + 1)
        return plain(state.get("_content", state.get("_val")), depth + 1)
    return value if isinstance(value, str | int | float | bool) else None


def _plain_mapping(value: Any) -> dict[str, Any]:
    values = plain(value)
    return values if isinstance(values, dict) else {}


def grouped(widths: tuple[int, ...]) -> list[list[int]]:
    """Bands of each distinct width, in the order of ``models.bsrnn.grouping.BandGroups``."""
    return [[band for band, other in enumerate(widths) if other == width] for width in dict.fromkeys(widths)]
