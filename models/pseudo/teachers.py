"""Teachers: what is asked for the stems of a song, one after the other, until each stem has one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from models.checkpoints.checkpoint import CONFIG, find_checkpoint, read_config
from models.pseudo.estimates import EstimatesTeacher, estimated_stems
from models.pseudo.songs import UnlabelledSong
from models.separation.separator import load_separator


class Teacher(Protocol):
    """Gives stems of songs.

    Attributes:
        name: for messages and model cards.
        stems: names of the stems it gives.
    """

    name: str
    stems: tuple[str, ...]

    def identity(self, song: UnlabelledSong) -> str:
        """What the stems of a song follow from, beside the song."""
        ...

    def separate(self, song: UnlabelledSong, mixture: np.ndarray, start: int, stop: int) -> dict[str, np.ndarray]:
        """The stems {stem: [2, stop - start]} of a part of a song, whose whole mixture is [2, T]."""
        ...


class NetworkTeacher:
    """A trained network; every part of a song is separated on its own.

    Args:
        folder: of a checkpoint.
        stems: that it gives.
        sample_rate: of the songs, Hz.
        device: where it runs.
    """

    def __init__(self, folder: Path, stems: Sequence[str], sample_rate: int, device: str) -> None:
        self._separator = load_separator(str(folder), device, stems, precision="auto")
        self._rate = sample_rate
        self.name, self.stems = self._separator.name, tuple(stems)

    def identity(self, song: UnlabelledSong) -> str:
        """The network's."""
        return f"{self.name} {self._separator.settings} {self._separator.precision}"

    def separate(self, song: UnlabelledSong, mixture: np.ndarray, start: int, stop: int) -> dict[str, np.ndarray]:
        """See ``Teacher``."""
        return self._separator.separate(mixture[:, start:stop], self._rate)


@dataclass(frozen=True)
class Source:
    """A teacher that a command line names.

    Attributes:
        path: folder of a checkpoint, or of estimates.
        stems: that it is asked for.
        is_network: whether it is a checkpoint.
    """

    path: Path
    stems: tuple[str, ...]
    is_network: bool

    def describe(self) -> str:
        """For the run's settings."""
        return f"{','.join(self.stems)}={self.path.resolve()}"


def parse_teachers(texts: Sequence[str], stems: Sequence[str]) -> list[Source]:
    """Who is asked for which stems: each stem goes to the first teacher that has it.

    Args:
        texts: ``small``, a checkpoint's folder, or a folder of estimates; ``vocals,bass=...`` asks it for these only.
        stems: of the student; each needs a teacher.

    Raises:
        FileNotFoundError: a name that is neither a checkpoint nor a folder.
        ValueError: a stem that a teacher lacks or that has no teacher, two checkpoints, or a teacher without a stem.
    """
    sources: list[Source] = []
    open_stems = list(stems)
    for text in texts:
        names, equals, place = text.partition("=")
        wanted = tuple(name.strip() for name in names.split(","))
        if not equals or not set(wanted) <= set(stems):
            wanted, place = (), text
        path, have = _look_up(place, stems)
        if lacking := [stem for stem in wanted if stem not in have]:
            raise ValueError(f"--teacher: {place} has no {', '.join(lacking)}, it has {', '.join(have) or 'no stem'}")
        given = tuple(stem for stem in open_stems if stem in (wanted or have))
        if not have:
            raise ValueError(f"--teacher: {place} has no {' or '.join(stems)}; name another checkpoint or folder")
        if not given:
            raise ValueError(f"--teacher: {text} is asked for no stem: the teachers before it have them; leave it out")
        sources.append(Source(path, given, (path / CONFIG).is_file()))
        open_stems = [stem for stem in open_stems if stem not in given]
    if open_stems:
        raise ValueError(f"--teacher: nobody gives {', '.join(open_stems)}; name one more teacher, such as small")
    if sum(source.is_network for source in sources) > 1:
        raise ValueError("--teacher: expected one checkpoint, which the student may replace, got several")
    return sources


def open_teachers(
    sources: Sequence[Source], songs: Sequence[UnlabelledSong], sample_rate: int, device: str
) -> list[Teacher]:
    """Load the teachers; errors as the classes."""
    return [
        NetworkTeacher(source.path, source.stems, sample_rate, device)
        if source.is_network
        else EstimatesTeacher(source.path, source.stems, songs, sample_rate)
        for source in sources
    ]


def separate_part(
    teachers: Sequence[Teacher], song: UnlabelledSong, mixture: np.ndarray, start: int, stop: int
) -> Mapping[str, np.ndarray]:
    """The stems of a part of a song by all teachers."""
    return {
        stem: audio
        for teacher in teachers
        for stem, audio in teacher.separate(song, mixture, start, stop).items()
        if stem in teacher.stems
    }


def _look_up(place: str, stems: Sequence[str]) -> tuple[Path, tuple[str, ...]]:
    """A teacher's folder, and those of the stems that it has."""
    try:
        path = find_checkpoint(place)
    except FileNotFoundError:
        if not Path(place).is_dir():
            raise FileNotFoundError(
                f"--teacher: expected the name or folder of a checkpoint, or a folder of estimates, got {place!r}"
            ) from None
        return Path(place), estimated_stems(Path(place), stems)
    own = read_config(path / CONFIG)[0].model.stems
    return path, tuple(stem for stem in stems if stem in own)
