"""Writes mp3, m4a, ogg and opus files block by block through ffmpeg's encoders, with tags and cover."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from models.audio.formats import ENCODED
from models.audio.tags import Tags, ffmpeg_tags
from models.audio.writer import AudioWriter, remove_stale_parts, temporary_name

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class EncodedWriter(AudioWriter):
    """Writes a file block by block, as ``models.audio.writer.AudioWriter``; ffmpeg encodes it.

    Samples beyond +-1 are neither cut nor rescaled. The encoder may change the sample rate to one that the format has.

    Args:
        path: the file.
        sample_rate: Hz.
        channels: number of channels.
        name: one of ``models.audio.formats.ENCODED``.
        tags: written into the file.

    Raises:
        ValueError: ffmpeg is not installed, or the format does not hold so many channels.
    """

    def __init__(self, path: Path, sample_rate: int, channels: int, name: str, tags: Tags | None = None) -> None:
        self.path, self.clipped = path, 0
        self._encoded = ENCODED[name]
        if channels > self._encoded.most_channels:
            raise ValueError(
                f"{name} holds at most {self._encoded.most_channels} channels, got {channels}; take wav16 or flac16"
            )
        if not shutil.which("ffmpeg"):
            raise ValueError(f"ffmpeg, which encodes {name}, is not installed; install it, or take wav16 or flac16")
        self._sample_rate, self._channels = sample_rate, channels
        self._tags = tags or Tags()
        self._temporary = temporary_name(path)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "EncodedWriter":
        """Start ffmpeg.

        Raises:
            OSError: it does not start.
        """
        remove_stale_parts(self.path)
        samples = ["-f", "f32le", "-ar", str(self._sample_rate), "-ac", str(self._channels), "-i", "pipe:0"]
        self._messages = tempfile.TemporaryFile()
        self._tag_files = contextlib.ExitStack()
        inputs, outputs, passed = self._tag_files.enter_context(
            ffmpeg_tags(self._tags, first_input=1, has_pictures=self._encoded.has_pictures)
        )
        target = ["-map", "0:a", *outputs, *self._encoded.encoder, "-f", self._encoded.container]
        self._process = subprocess.Popen(
            ["ffmpeg", "-y", "-v", "error", "-xerror", *samples, *inputs, *target, f"file:{self._temporary}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._messages,
            pass_fds=passed,
            start_new_session=True,  # Ctrl-C ends this process, which then ends ffmpeg
        )
        return self

    def write(self, block: "Tensor | np.ndarray") -> None:
        """Append a block [C, t], a tensor on the CPU or an array.

        Raises:
            OSError: the encoder failed, or the disk is full.
        """
        import numpy as np

        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(np.asarray(block).T.tobytes())
        except OSError as error:
            raise self._failed() from error

    def finish(self) -> Path:
        """End the encoding; returns the path of the temporary file, which is complete.

        Raises:
            OSError: the encoder failed, or the disk is full.
        """
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.close()
        except OSError as error:
            raise self._failed() from error
        if self._process.wait() != 0:
            raise self._failed()
        with self._temporary.open("rb+") as file:
            os.fsync(file.fileno())
        return self._temporary

    def discard(self) -> None:
        """End ffmpeg and remove the temporary file, if it still exists."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()  # type: ignore[union-attr]
            self._process.kill()
            self._process.wait()
            self._tag_files.close()
            self._messages.close()
            self._process = None
        self._temporary.unlink(missing_ok=True)

    def _failed(self) -> OSError:
        """The error with what ffmpeg said."""
        assert self._process is not None
        self._process.wait()
        self._messages.seek(0)
        said = " ".join(self._messages.read().decode(errors="replace").split())[:200]
        reason = said or f"ffmpeg ended with {self._process.returncode}"
        return OSError(f"{self.path}: cannot be written ({reason}); disk full, or folder not writable?")
