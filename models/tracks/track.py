"""What every kind of track gives: names, lengths and audio of its stems."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.tracks.names import STEMS


@dataclass(frozen=True)
class Track(ABC):
    """One piece of music with its stems; one on disk is read when it is asked for, and no audio is kept.

    Attributes:
        name: the track's name: its file or folder name without suffix.
        split: the split it was opened from: "train", "valid" or "test" ("all" where the root has no splits).
        path: its `*.stem.mp4` file, or the folder that holds its audio files.
    """

    name: str
    split: str
    path: Path

    @property
    @abstractmethod
    def stems(self) -> tuple[str, ...]:
        """The stems the track has: those of STEMS in their order, then any others by name."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold the track's audio; none for a track in memory."""
        return ()

    @property
    def rendered(self) -> bool:
        """Whether a synthesizer played the track: its folder then holds ``render.json``."""
        return False

    @property
    @abstractmethod
    def sample_rate(self) -> int:
        """Sample rate in Hz."""

    @property
    @abstractmethod
    def num_frames(self) -> int:
        """Length in samples per channel, as the file's header says."""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_frames / self.sample_rate

    @abstractmethod
    def read_stem(self, stem: str, start: int = 0, frames: int = -1) -> np.ndarray:
        """Read one stem, or the mixture.

        Args:
            stem: a name out of ``stems``, or "mixture".
            start: first sample to read.
            frames: how many samples; -1 for all that follow. Fewer are returned where the audio ends earlier.

        Returns:
            float32 [C, T].

        Raises:
            ValueError: the track has no such stem, the file cannot be read, or `start` lies outside it.
        """

    def read_mixture(self) -> np.ndarray:
        """Read the mixture, float32 [C, T]: its own file, or the sum of the stems where there is none."""
        return self.read_stem("mixture")

    def read_stems(self, stems: Sequence[str] = STEMS) -> dict[str, np.ndarray]:
        """Read several stems ("mixture" is one too), each float32 [C, T], all of one shape.

        Raises:
            ValueError: a stem is missing or their shapes differ; the message names the track.
        """
        return self._checked({stem: self.read_stem(stem) for stem in stems})

    def check(self, stems: Sequence[str]) -> None:
        """Find out without decoding whether the stems can be read together, as far as file headers tell.

        Raises:
            ValueError: a stem is missing, a file unreadable, or rates or shapes differ; the message names the track.
        """
        self.check_names(stems)

    def check_names(self, stems: Sequence[str]) -> None:
        """Find out whether the track has the stems, without opening a file.

        Raises:
            ValueError: a stem is missing; the message names the track.
        """
        have = self.stems
        for stem in stems:
            if stem not in have:
                raise self._no_stem(stem)

    def fingerprint(self) -> str:
        """Short hash of the track's name and files (sizes, and three 64 KiB blocks of each): same audio, same hash."""
        digest = hashlib.sha256(self.name.encode())
        for file in self.files:
            size = file.stat().st_size
            digest.update(f"{file.name} {size} ".encode())
            with file.open("rb") as stream:
                for position in (0, size // 2, max(0, size - 65536)):
                    stream.seek(position)
                    digest.update(stream.read(65536))
        return digest.hexdigest()[:16]

    def _checked(self, audio: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self._check_shapes({stem: array.shape for stem, array in audio.items()})
        return audio

    def _check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        if len(set(shapes.values())) > 1:
            listed = ", ".join(f"{stem} {shape}" for stem, shape in shapes.items())
            raise ValueError(f"track {self.name!r}: expected stems of one shape [channels, samples], got {listed}")

    def _no_stem(self, stem: str) -> ValueError:
        """What to raise for a stem that the track lacks."""
        return ValueError(f"track {self.name!r} has no {stem}: expected one of {', '.join(self.stems)}")
