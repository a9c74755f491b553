"""Estimates of another system as a teacher: folders of `models separate` and of `benchmark run --keep-estimates`."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.pseudo.songs import UnlabelledSong, read_stereo
from models.running.hashes import sha256
from models.songs.find import SUFFIXES

ABOUT = "estimates.json"
"""Lies in the benchmark's folder of a track: which file each stem is in, and the power of two it was divided by."""


@dataclass(frozen=True)
class StemEstimate:
    """A stem of a song as another system estimates it.

    Attributes:
        path: an audio file.
        exponent: the samples are to be multiplied by 2^exponent.
    """

    path: Path
    exponent: int = 0

    def read(self, sample_rate: int) -> np.ndarray:
        """The estimate, float32 [2, T] at a sample rate."""
        return np.ldexp(read_stereo(self.path, sample_rate), self.exponent).astype(np.float32)


class EstimatesTeacher:
    """A folder of estimates, ``SONG/vocals.wav`` and so on, or the benchmark's.

    Args:
        folder: of all songs, whatever lies between; or, for a single song, of its stems.
        stems: that it gives.
        songs: all of them must have an estimate of each stem.
        sample_rate: of the result, Hz.

    Attributes:
        name: for messages and model cards.
        stems: names of the stems it gives.

    Raises:
        ValueError: a song has no estimates here, or several.
    """

    def __init__(self, folder: Path, stems: Sequence[str], songs: Sequence[UnlabelledSong], sample_rate: int) -> None:
        self.name, self.stems, self._rate = f"estimates of {folder.resolve().name}", tuple(stems), sample_rate
        found = find_estimates(folder)
        self._files = {song.digest: _choose(song, found, self.stems, folder, len(songs)) for song in songs}
        self._open: tuple[str, dict[str, np.ndarray]] = ("", {})

    def identity(self, song: UnlabelledSong) -> str:
        """What the estimates of a song are: changes with their content."""
        files = self._files[song.digest]
        exponents = ",".join(str(files[stem].exponent) for stem in self.stems)
        return f"{sha256(*(files[stem].path for stem in self.stems))[:16]} {exponents}"

    def separate(self, song: UnlabelledSong, mixture: np.ndarray, start: int, stop: int) -> dict[str, np.ndarray]:
        """The estimates {stem: [2, stop - start]} of a part of a song.

        Args:
            song: the song.
            mixture: all of it, [2, T].
            start, stop: samples.

        Raises:
            ValueError: an estimate is damaged, or not as long as the song.
        """
        if self._open[0] != song.digest:
            files = self._files[song.digest]
            self._open = (song.digest, {stem: self._read(files[stem], mixture.shape[-1]) for stem in self.stems})
        return {stem: audio[:, start:stop] for stem, audio in self._open[1].items()}

    def _read(self, estimate: StemEstimate, length: int) -> np.ndarray:
        audio = estimate.read(self._rate)
        if abs(audio.shape[-1] - length) > 1:  # resampling may add a sample
            raise ValueError(
                f"{estimate.path}: expected an estimate as long as its song, {length} samples at {self._rate} Hz, "
                f"got {audio.shape[-1]}"
            )
        return np.pad(audio, ((0, 0), (0, 1)))[:, :length]


def find_estimates(folder: Path) -> dict[str, list[dict[str, StemEstimate]]]:
    """What lies below a folder: for a name of a song (its place, or the benchmark's track) its stems, maybe twice.

    The name "." is that of the folder itself.
    """
    found: dict[str, list[dict[str, StemEstimate]]] = {}
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(parent)
        stems = {Path(name).stem: StemEstimate(here / name) for name in sorted(files) if _is_audio(name)}
        name = here.relative_to(folder).as_posix()
        if ABOUT in files:
            name, stems = _read_about(here)
        if stems:
            found.setdefault(name, []).append(stems)
    return found


def estimated_stems(folder: Path, stems: Sequence[str]) -> tuple[str, ...]:
    """Those of some stems that any song below a folder has an estimate of."""
    there = {stem for songs in find_estimates(folder).values() for song in songs for stem in song}
    return tuple(stem for stem in stems if stem in there)


def _is_audio(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES


def _read_about(folder: Path) -> tuple[str, dict[str, StemEstimate]]:
    path = folder / ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        stems = {
            stem: StemEstimate(folder / str(one["file"]), int(one["exponent"])) for stem, one in about["files"].items()
        }
        return str(about["result"]["key"]["track"]), stems
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path}: damaged; run the benchmark again") from None


def _choose(
    song: UnlabelledSong,
    found: dict[str, list[dict[str, StemEstimate]]],
    stems: Sequence[str],
    folder: Path,
    num_songs: int,
) -> dict[str, StemEstimate]:
    """The estimates of a song: those at its place, else those of a folder or track of its name."""
    last = song.name.rsplit("/", 1)[-1]
    here = found.get(song.name, []) or [
        one for name, several in found.items() for one in several if name.rsplit("/", 1)[-1] == last
    ]
    if not here and num_songs == 1:
        here = found.get(".", [])
    if len(here) > 1:
        places = " and ".join(str(next(iter(one.values())).path.parent) for one in here[:2])
        raise ValueError(f"--teacher: {song.name!r} has estimates in {places}; name the folder of one system")
    missing = [stem for stem in stems if not here or stem not in here[0]]
    if missing:
        raise ValueError(
            f"--teacher: {folder} has no estimate of {', '.join(missing)} of the song {song.name!r}; expected "
            f"{song.name}/{missing[0]}.wav or the like, as `models separate` writes it"
        )
    return here[0]
