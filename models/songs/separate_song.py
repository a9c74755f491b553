"""Separates one song into stem files with bounded memory: all of them appear, or none."""

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from models.audio.encoder import EncodedWriter
from models.audio.formats import ENCODED, step
from models.audio.reader import AudioFile, open_audio
from models.audio.tagged_flac import TaggedFlacWriter
from models.audio.tags import Tags, read_tags
from models.audio.writer import AudioWriter, AudioWriters
from models.separation.channels import ChannelSeparator, separate_channels
from models.separation.progress import Stems, show_progress
from models.separation.sums import on_grid, with_rest
from models.signal.library import library_of

CLIPS = ("rescale", "clamp", "none")
"""What is done with samples beyond +-1: the whole song is made quieter, they are cut, or they are kept."""
TAGGED = ("flac16", "flac24", *ENCODED)
"""Formats whose files keep the tags and the cover of the song."""
LOUDEST = 1 - 2.0**-15
"""The peak of a song that was made quieter: the largest sample of 16 bits."""


class Stopped(Exception):
    """The separation of a song was stopped; none of its stems were written."""


class Stop(Protocol):
    """Says whether to stop."""

    def is_set(self) -> bool:
        """Whether to stop."""
        ...


@dataclass(frozen=True)
class Output:
    """What is written, and how."""

    sample_format: str = "wav16"
    """One of ``models.audio.formats.NAMES``."""
    sums: str | None = None
    """One of ``models.separation.sums.SUMS``, or None."""
    clip: str | None = None
    """One of ``CLIPS``; None: ``none`` for wavfloat, else ``clamp``."""

    def __post_init__(self) -> None:
        """Choose ``clip``.

        Raises:
            ValueError: the format cannot hold samples beyond +-1, but they are to be kept.
        """
        if self.clip is None:
            object.__setattr__(self, "clip", "none" if self.sample_format == "wavfloat" else "clamp")
        if self.clip == "none" and step(self.sample_format) is not None:
            keep = ", ".join(["wavfloat", *ENCODED])
            raise ValueError(
                f"--clip none needs a format that holds samples beyond 1 ({keep}), got {self.sample_format}"
            )


@dataclass
class StemFile:
    """A written stem."""

    path: Path
    """The file."""
    peak: float = 0.0
    """The largest absolute value of its samples before any were cut; full scale is 1."""
    beyond: int = 0
    """Samples (of all channels) beyond +-1."""


@dataclass(frozen=True)
class Written:
    """A song that was separated."""

    files: Mapping[str, StemFile]
    """Of each stem."""
    gain: float
    """By which all stems were multiplied; less than 1 if the song was made quieter."""
    seconds: float
    """Length of the song."""


def separate_song(
    separator: ChannelSeparator,
    path: Path,
    targets: Mapping[str, Path],
    output: Output | None = None,
    progress: bool = False,
    stop: Stop | None = None,
    before_replacing: Callable[[], None] = lambda: None,
) -> Written:
    """Separate a song; stems of an earlier run are replaced.

    The stems have the song's channels and length and, but for some encoded formats, its sample rate.

    Args:
        separator: one network or an ensemble.
        path: an audio or video file.
        targets: the file of each stem of ``models.separation.sums.names_with_rest``; folders are made if absent.
        output: format and sums.
        progress: whether to show a progress bar.
        stop: asked between pieces.
        before_replacing: called when the stems are complete, before they have their names.

    Raises:
        FileNotFoundError: there is no such song.
        ValueError: the song is damaged, truncated or not an audio file; or the format cannot hold its channels.
        OSError: the stems cannot be written.
        Stopped: ``stop`` said so.
    """
    output = output or Output()
    song = open_audio(path)
    tags = read_tags(path) if output.sample_format in TAGGED else Tags()
    writers = {stem: _writer(target, song, output.sample_format, tags) for stem, target in targets.items()}
    blocks: Any = song.arrays() if getattr(separator, "on_arrays", False) else song.blocks()
    pieces = with_rest(
        lambda blocks: separate_channels(separator, blocks, song.channels, song.sample_rate), blocks, output.sums
    )
    if progress:
        pieces = show_progress(pieces, song.num_frames, song.sample_rate, path.stem)
    for target in targets.values():
        target.parent.mkdir(parents=True, exist_ok=True)
    files = {stem: StemFile(target) for stem, target in targets.items()}
    num_frames, gain = 0, 1.0
    with AudioWriters(list(writers.values())):
        pieces = _measured(_stoppable(pieces, stop), files)
        if output.clip == "rescale":
            with _Spool(next(iter(targets.values())).parent) as spool:
                spool.extend(pieces)
                peak = max(file.peak for file in files.values())
                gain = LOUDEST / peak if peak > 1 else 1.0
                num_frames = _write(spool.pieces(gain), writers, output)
        else:
            num_frames = _write(pieces, writers, output)
        before_replacing()
    return Written(files, gain, num_frames / song.sample_rate)


def _writer(target: Path, song: AudioFile, sample_format: str, tags: Tags) -> AudioWriter:
    if sample_format in ENCODED:
        return EncodedWriter(target, song.sample_rate, song.channels, sample_format, tags)
    if sample_format not in TAGGED:
        return AudioWriter(target, song.sample_rate, song.channels, sample_format, song.num_frames)
    return TaggedFlacWriter(target, song.sample_rate, song.channels, sample_format, tags)


def _write(pieces: Iterable[Stems], writers: Mapping[str, AudioWriter], output: Output) -> int:
    """Write pieces {stem: [C, t]}; returns the number of samples."""
    grid = step(output.sample_format)
    num_frames = 0
    for piece in pieces:
        if output.sums and grid:
            piece = on_grid(piece, grid)
        for stem, samples in piece.items():
            writers[stem].write(samples.clip(-1, 1) if output.clip == "clamp" else samples)
        num_frames += next(iter(piece.values())).shape[-1]
    return num_frames


def _stoppable(pieces: Iterable[Stems], stop: Stop | None) -> Iterator[Stems]:
    for piece in pieces:
        if stop is not None and stop.is_set():
            raise Stopped
        yield piece


def _measured(pieces: Iterable[Stems], files: Mapping[str, StemFile]) -> Iterator[Stems]:
    """Pass pieces on, and note their peaks and the samples beyond full scale."""
    for piece in pieces:
        for stem, samples in piece.items():
            if samples.shape[-1]:
                file, levels = files[stem], abs(samples)
                file.peak = max(file.peak, float(levels.max()))
                file.beyond += int((levels > 1).sum())
        yield piece


class _Spool:
    """Keeps the stems of a song on the disk until its peak is known; a context manager.

    Args:
        folder: where the stems go; the file there has no name, so that nothing is left after a kill.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shapes: list[tuple[tuple[str, ...], tuple[int, ...], Any]] = []

    def __enter__(self) -> "_Spool":
        self._file = tempfile.TemporaryFile(dir=self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def extend(self, pieces: Iterable[Stems]) -> None:
        """Append pieces."""
        for piece in pieces:
            stacked = np.stack([np.asarray(samples) for samples in piece.values()])
            self._shapes.append((tuple(piece), stacked.shape, library_of(next(iter(piece.values())))))
            self._file.write(stacked.tobytes())

    def pieces(self, gain: float) -> Iterator[Stems]:
        """The pieces, multiplied by a gain."""
        self._file.seek(0)
        for stems, shape, library in self._shapes:
            data = self._file.read(4 * math.prod(shape))
            samples = np.frombuffer(data, dtype=np.float32).reshape(shape) * np.float32(gain)
            yield dict(zip(stems, library.asarray(samples), strict=True))
