"""Writes audio files block by block. A file appears under its name only when it is complete."""

import contextlib
import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.audio.formats import FORMATS

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

_WAV_LIMIT_BYTES = 2**32 - 2**16  # a plain wav counts its bytes in 32 bits, header included


class AudioWriter:
    """Writes a file block by block; a context manager.

    The samples go to a temporary file next to the target. It gets the target's name when the ``with`` block ends
    without an error, else it is removed. Samples are never rescaled; integer formats clip at +-1. ``AudioWriters``
    writes several files, all or none.

    Attributes:
        path: the file.
        clipped: samples clipped so far.
    """

    def __init__(
        self,
        path: str | Path,
        sample_rate: int,
        channels: int,
        sample_format: str = "wav16",
        num_frames: int | None = None,
    ) -> None:
        """Prepare to write.

        Args:
            path: the file.
            sample_rate: Hz.
            channels: number of channels.
            sample_format: one of ``FORMATS``.
            num_frames: samples per channel of the whole file, if known; a wav file beyond 4 GiB becomes RF64.
        """
        if sample_format not in FORMATS:
            raise ValueError(f"the sample format must be one of {', '.join(FORMATS)}, got {sample_format!r}")
        self.path = Path(path)
        self.clipped = 0
        self._format = FORMATS[sample_format]
        self._container = self._format.container
        self._frame_bytes = channels * self._format.sample_bytes
        if self._container == "WAV" and (num_frames or 0) * self._frame_bytes > _WAV_LIMIT_BYTES:
            self._container = "RF64"
        self._sample_rate = sample_rate
        self._channels = channels
        self._num_frames = 0
        self._temporary = temporary_name(self.path)

    def __enter__(self) -> "AudioWriter":
        import soundfile

        remove_stale_parts(self.path)
        try:
            with self._one_line_errors():
                self._file = soundfile.SoundFile(
                    os.fsencode(self._temporary),
                    "w",
                    self._sample_rate,
                    self._channels,
                    self._format.subtype,
                    None,
                    self._container,
                )
        except BaseException:
            self._temporary.unlink(missing_ok=True)
            raise
        return self

    def write(self, block: "Tensor | np.ndarray") -> None:
        """Append a block [C, t], a tensor on the CPU or an array.

        Raises:
            OSError: the disk is full.
            ValueError: the file would exceed what a wav file can hold.
        """
        import numpy as np

        samples = np.asarray(block)
        self._num_frames += samples.shape[-1]
        if self._container == "WAV" and self._num_frames * self._frame_bytes > _WAV_LIMIT_BYTES:
            raise ValueError(f"{self.path}: a wav file holds at most 4 GiB; write flac16 or flac24, or split the input")
        if self._format.subtype != "FLOAT":
            self.clipped += int((np.abs(samples) > 1).sum())
            samples = samples.clip(-1, 1)
        with self._one_line_errors():
            self._file.write(self._stored(samples))

    def _stored(self, samples: "np.ndarray") -> Any:
        """Samples [C, t] as an array [t, C] of the type that libsndfile stores without another rounding.

        libsndfile would write a float x as 32767 x and read it as 1/32768 of that, which costs 0.0003 dB: the stems of
        a song would not sum to it.
        """
        import numpy as np

        if self._format.subtype == "FLOAT":
            return samples.T
        bits = 8 * self._format.sample_bytes
        scale = 2.0 ** (bits - 1)
        whole = (samples.T.astype(np.float64) * scale).round().clip(-scale, scale - 1).astype(np.int32)
        return whole.astype(np.int16) if bits == 16 else whole << (32 - bits)

    def __exit__(self, error_type: object, *_: object) -> None:
        try:
            if error_type is None:
                self.finish()
                replace_together({self._temporary: self.path})
        finally:
            self.discard()

    def finish(self) -> Path:
        """Close the temporary file and check that it is complete; returns its path.

        Raises:
            OSError: the disk is full.
        """
        import soundfile

        with self._one_line_errors():
            self._file.close()
            written = soundfile.info(os.fsencode(self._temporary)).frames
        if written != self._num_frames:
            raise OSError(f"{self.path}: {written} of {self._num_frames} samples were written; is the disk full?")
        return self._temporary

    def discard(self) -> None:
        """Close and remove the temporary file, if it still exists."""
        with contextlib.suppress(Exception):  # do not hide the error that led here
            self._file.close()
        self._temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        """Turn soundfile's reports of a full disk, which may be an AssertionError, into a one-line OSError."""
        import soundfile

        try:
            yield
        except (soundfile.SoundFileError, AssertionError, OSError) as error:
            reason = " ".join(str(error).split()) or "short write"
            raise OSError(f"{self.path}: cannot be written ({reason}); disk full, or folder not writable?") from error


class AudioWriters:
    """Writes several files at once; a context manager. All appear if the block ends without an error, else none.

    Attributes:
        writers: one for each file.
    """

    def __init__(self, writers: Sequence[AudioWriter]) -> None:
        self.writers = tuple(writers)

    def __enter__(self) -> "AudioWriters":
        with contextlib.ExitStack() as undo:
            for writer in self.writers:
                if writer.path.is_dir():
                    raise OSError(f"{writer.path}: expected a place for a file, got a folder; choose another --out")
                undo.callback(writer.discard)
                writer.__enter__()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, error_type: object, *_: object) -> None:
        with self._undo:
            if error_type is None:
                replace_together({writer.finish(): writer.path for writer in self.writers})


def replace_together(moves: Mapping[Path, Path]) -> None:
    """Rename each finished file (key) to its final name (value), replacing an older file; all or none.

    Raises:
        OSError: a file cannot be renamed; the other renames are undone.
    """
    done: list[tuple[Path, Path, Path | None]] = []
    try:
        for source, target in moves.items():
            old = target.with_name(f"{source.name}.old") if target.exists() else None
            if old:
                target.replace(old)
            done.append((source, target, old))
            source.replace(target)
    except BaseException:
        for source, target, old in reversed(done):
            if not source.exists():
                target.replace(source)
            if old:
                old.replace(target)
        raise
    for _, _, old in done:
        if old:
            old.unlink()


def temporary_name(path: Path) -> Path:
    """The hidden file beside another that this process writes before it has its name."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def remove_stale_parts(path: Path) -> None:
    """Remove unfinished files that were to become ``path`` and whose process no longer runs: it was killed."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part*"):
        process = part.name.removeprefix(f".{path.name}.").split(".")[0]
        if process.isdecimal() and not _runs(int(process)):
            part.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    """Whether another process has this number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is somebody else's, or no number of a process
        return True
    return process != os.getpid()


def write_audio(
    path: str | Path, waveform: "Tensor | np.ndarray", sample_rate: int, sample_format: str = "wav16"
) -> int:
    """Write a waveform [C, T] to a file as ``AudioWriter`` does; returns the number of clipped samples."""
    with AudioWriter(path, sample_rate, waveform.shape[0], sample_format, waveform.shape[-1]) as writer:
        writer.write(waveform)
    return writer.clipped
