"""A track as a folder of audio files, one for each stem (MUSDB18-HQ, and folders of one's own)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.tracks.names import STEMS
from models.tracks.track import Track

if TYPE_CHECKING:
    from models.audio.reader import AudioFile

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg")
RENDER_FILE = "render.json"
"""Lies in every finished track folder of ``models.rendering``, and says how it was made."""


@dataclass(frozen=True)
class FolderTrack(Track):
    """A folder that holds one audio file for each stem, `vocals.wav` say, and maybe a `mixture.wav`; or flac, or ogg.

    Any other name is a stem too. Where there is no mixture, it is the sum of all stems: nothing else may lie there.
    """

    @property
    def stems(self) -> tuple[str, ...]:
        """See Track."""
        names = audio_names(self.path) - {"mixture"}
        return (*(stem for stem in STEMS if stem in names), *sorted(names - set(STEMS)))

    @property
    def files(self) -> tuple[Path, ...]:
        """See Track."""
        candidates = (_audio_file(self.path, name) for name in ("mixture", *self.stems))
        return tuple(file for file in candidates if file)

    @property
    def rendered(self) -> bool:
        """See Track."""
        return (self.path / RENDER_FILE).is_file()

    @property
    def sample_rate(self) -> int:
        """See Track."""
        return self._first.sample_rate

    @property
    def num_frames(self) -> int:
        """See Track."""
        return self._length(self._first)

    def check(self, stems: Sequence[str]) -> None:
        """See Track."""
        super().check(stems)
        shapes = {}
        for stem in stems:
            file = _audio_file(self.path, stem)
            assert file is not None
            audio = self._open(file)
            shapes[stem] = (audio.channels, self._length(audio))
        self._check_shapes(shapes)

    def read_stem(self, stem: str, start: int = 0, frames: int = -1) -> np.ndarray:
        """See Track."""
        file = _audio_file(self.path, stem)
        if file is None:
            if stem == "mixture" and self.stems:
                parts = self._checked({name: self.read_stem(name, start, frames) for name in self.stems})
                return np.stack(list(parts.values())).sum(axis=0, dtype=np.float32)
            raise self._no_stem(stem)
        audio = self._open(file)
        num_frames = self._length(audio)
        if not 0 <= start <= num_frames:
            raise ValueError(f"track {self.name!r}: start {start} lies outside its {num_frames} samples")
        try:
            return _read_part(audio, start, None if frames < 0 else start + frames)
        except ValueError as error:
            raise self._unreadable(file, error) from error

    def _no_stem(self, stem: str) -> ValueError:
        files = " or ".join(stem + suffix for suffix in AUDIO_SUFFIXES)
        return ValueError(f"track {self.name!r} has no {stem}: expected {files} in {self.path}")

    def _open(self, file: Path) -> "AudioFile":
        """One of the track's files, of the track's sample rate."""
        audio = self._read_header(file)
        if audio.sample_rate != self.sample_rate:
            raise ValueError(
                f"track {self.name!r}: expected one sample rate, "
                f"got {self.sample_rate} and {audio.sample_rate} Hz in {file.name}"
            )
        return audio

    def _read_header(self, file: Path) -> "AudioFile":
        from models.audio.reader import open_audio

        try:
            return open_audio(file)
        except ValueError as error:
            raise self._unreadable(file, error) from error

    def _length(self, audio: "AudioFile") -> int:
        """Samples per channel of a file."""
        if audio.num_frames is None:
            raise self._unreadable(audio.path, "its header does not state its length")
        return audio.num_frames

    def _unreadable(self, file: Path, reason: object) -> ValueError:
        return ValueError(f"track {self.name!r}: cannot read {file} ({str(reason).removeprefix(f'{file}: ')})")

    @cached_property
    def _first(self) -> "AudioFile":
        """The first file, which says the track's rate and length; read_stems checks that the others agree."""
        return self._read_header(self.files[0])


def _read_part(audio: "AudioFile", start: int, end: int | None) -> np.ndarray:
    """Samples `start` to `end` of a file, or all that follow, float32 [C, T].

    Decoding begins at the file's first sample: so a part is the same samples as in the whole, in every format.
    """
    parts, position = [np.empty((audio.channels, 0), dtype=np.float32)], 0
    for block in audio.blocks():
        length = block.shape[-1]
        first, last = max(0, start - position), length if end is None else min(length, end - position)
        if first < last:
            parts.append(block[:, first:last].numpy())
        position += length
        if end is not None and position >= end:
            break
    return np.concatenate(parts, axis=1)


def audio_names(folder: Path) -> set[str]:
    """The names, without suffix, of the audio files in a folder."""
    files = (path for path in folder.iterdir() if path.suffix in AUDIO_SUFFIXES and not path.name.startswith("."))
    return {path.stem for path in files if path.is_file()}


def _audio_file(folder: Path, name: str) -> Path | None:
    return next((path for suffix in AUDIO_SUFFIXES if (path := folder / f"{name}{suffix}").is_file()), None)
