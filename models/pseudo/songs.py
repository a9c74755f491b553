"""The songs without stems that a command line names: which there are, and their mixtures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from models.audio.reader import open_audio, read_audio
from models.running.hashes import sha256
from models.signal.resampling import resample
from models.songs.find import find_songs
from models.tracks import STEMS, FolderTrack
from models.tracks.folder import audio_names


@dataclass(frozen=True)
class UnlabelledSong:
    """A song whose stems are not used.

    Attributes:
        name: its place below the folder that was searched, without suffix: ``album/song``.
        files: that of the mixture, or those whose sum it is.
    """

    name: str
    files: tuple[Path, ...]

    @cached_property
    def digest(self) -> str:
        """Of the files' content, 16 hexadecimal digits."""
        return sha256(*self.files)[:16]

    def read(self, sample_rate: int) -> np.ndarray:
        """The mixture, float32 [2, T] at a sample rate; a mono song has two equal channels.

        Raises:
            ValueError: a file is damaged, empty, no audio, not finite, or has more than two channels.
            OSError: it cannot be read.
        """
        if len(self.files) == 1:
            return read_stereo(self.files[0], sample_rate)
        track = FolderTrack(self.name, "all", self.files[0].parent)
        return _stereo(track.read_stem("mixture"), track.sample_rate, sample_rate, str(track.path))


def find_unlabelled(roots: Sequence[Path], out: Path) -> list[UnlabelledSong]:
    """The songs of files and folders, with all that is below them, in the order of their names.

    A folder that holds ``mixture`` or at least two of the stems of MUSDB18 as audio files is one song: the file of the
    mixture, or the sum of the stems.

    Args:
        roots: files and folders.
        out: of the run; songs in it are left out.

    Raises:
        FileNotFoundError: a file or folder that is not there.
        ValueError: a folder without songs.
    """
    songs: dict[tuple[Path, ...], UnlabelledSong] = {}
    for root in roots:
        if not root.exists():
            raise FileNotFoundError(f"--unlabelled: no such file or folder: {root}")
        for song in find_songs([root], out):
            one = _of_track_folder(song.path.parent, song.folder) or UnlabelledSong(
                (song.folder / song.path.stem).as_posix(), (song.path,)
            )
            songs.setdefault(one.files, one)
    return sorted(songs.values(), key=lambda song: (song.name, song.files))


def read_stereo(path: Path, sample_rate: int) -> np.ndarray:
    """An audio file as float32 [2, T] at a sample rate; errors as ``UnlabelledSong.read``."""
    if (channels := open_audio(path).channels) > 2:
        raise ValueError(f"{path}: expected mono or stereo, got {channels} channels")
    audio, own_rate = read_audio(path)
    return _stereo(audio.numpy(), own_rate, sample_rate, str(path))


def song_list(names: Iterable[str], most: int) -> str:
    """Names in one line, and how many more there are."""
    names = list(names)
    more = f"; and {len(names) - most} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more


def _of_track_folder(folder: Path, place: Path) -> UnlabelledSong | None:
    names = audio_names(folder)
    if "mixture" not in names and len(names & set(STEMS)) < 2:
        return None
    files = FolderTrack(folder.name, "all", folder).files  # the mixture first
    name = place.as_posix() if place.parts else folder.resolve().name
    return UnlabelledSong(name, files[:1] if "mixture" in names else files)


def _stereo(audio: np.ndarray, from_hz: int, to_hz: int, source: str) -> np.ndarray:
    if audio.shape[0] > 2:
        raise ValueError(f"{source}: expected mono or stereo, got {audio.shape[0]} channels")
    audio = resample(audio, from_hz, to_hz)
    return np.repeat(audio, 2, axis=0) if audio.shape[0] == 1 else audio
