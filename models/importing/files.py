"""Groups checkpoint files into networks (one file, or all shards, each) and finds the stem in their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.importing.untrusted import SUFFIXES
from models.tracks import STEMS

SHARD = re.compile(r"(?P<name>.+)-(?P<index>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.\w+)")


@dataclass(frozen=True)
class NetworkFiles:
    """The files of one network.

    Attributes:
        name: without shard number and suffix.
        paths: one file, or all shards in order.
    """

    name: str
    paths: tuple[Path, ...]

    @property
    def stem(self) -> str | None:
        """The stem in the file's name, else in its folder's; None if neither has exactly one."""
        for text in (self.name, self.paths[0].resolve().parent.name):
            words = re.split("[^a-z]+", text.lower())
            if found := [stem for stem in STEMS if stem in words]:
                return found[0] if len(found) == 1 else None
        return None


def find_files(paths: Sequence[Path]) -> list[NetworkFiles]:
    """The networks in files and folders, in the order given; those of one folder sorted by stem, then by name.

    Raises:
        FileNotFoundError: a path does not exist, or a folder holds no checkpoint files.
        ValueError: a shard is missing.
    """
    networks: list[NetworkFiles] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: expected a checkpoint file or a folder of them, there is none")
        inside = sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise FileNotFoundError(f"{path}: expected checkpoint files ({', '.join(SUFFIXES)}), it holds none")
        found = _without_repeats(inside)
        networks += sorted(found, key=_rank) if path.is_dir() else found
    return _without_repeats([path for network in networks for path in network.paths])


def _rank(network: NetworkFiles) -> tuple[int, str]:
    return (STEMS.index(network.stem) if network.stem else len(STEMS), network.name)


def _without_repeats(paths: Sequence[Path]) -> list[NetworkFiles]:
    """Group files into networks; a file that is given twice counts once."""
    shards: dict[tuple[Path, str], dict[int, Path]] = {}
    counts: dict[tuple[Path, str], int] = {}
    for path in dict.fromkeys(paths):
        match = SHARD.fullmatch(path.name)
        name, index, count = (match["name"], int(match["index"]), int(match["count"])) if match else (path.stem, 1, 1)
        key = (path if not match else path.parent, name)
        shards.setdefault(key, {})[index] = path
        counts[key] = count
    for (_, name), found in shards.items():
        count = counts[next(key for key in shards if shards[key] is found)]
        if missing := sorted(set(range(1, count + 1)) - set(found)):
            raise ValueError(f"{next(iter(found.values()))}: shard {missing[0]} of {count} of {name!r} is missing")
    return [NetworkFiles(name, tuple(found[index] for index in sorted(found))) for (_, name), found in shards.items()]
