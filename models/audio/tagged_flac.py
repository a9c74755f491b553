"""Writes flac files with tags and cover: libsndfile writes the samples, ffmpeg copies them with the tags."""

import os
import subprocess
from pathlib import Path

from models.audio.tags import Tags, ffmpeg_tags
from models.audio.writer import AudioWriter


class TaggedFlacWriter(AudioWriter):
    """Writes a flac file block by block, as ``models.audio.writer.AudioWriter``, with the tags of a song.

    Args:
        path: the file.
        sample_rate: Hz.
        channels: number of channels.
        name: ``flac16`` or ``flac24``.
        tags: written into the file.
    """

    def __init__(self, path: Path, sample_rate: int, channels: int, name: str, tags: Tags) -> None:
        super().__init__(path, sample_rate, channels, name)
        self._tags = tags
        self._tagged = self._temporary.with_name(f"{self._temporary.name}.tagged")

    def finish(self) -> Path:
        """Close the temporary file and put the tags into it; returns its path.

        Raises:
            OSError: the disk is full.
        """
        untagged = super().finish()
        if not (self._tags.values or self._tags.cover):
            return untagged
        with ffmpeg_tags(self._tags, first_input=1, has_pictures=True) as (inputs, outputs, passed):
            source = ["-i", f"file:{untagged}", *inputs]
            target = ["-map", "0:a", *outputs, "-c:a", "copy", "-f", "flac", f"file:{self._tagged}"]
            command = ["ffmpeg", "-nostdin", "-y", "-v", "error", "-xerror", *source, *target]
            done = subprocess.run(command, pass_fds=passed, capture_output=True, check=False)
        if done.returncode != 0:
            said = " ".join(done.stderr.decode(errors="replace").split())[:200]
            raise OSError(f"{self.path}: its tags cannot be written ({said}); disk full, or folder not writable?")
        os.replace(self._tagged, untagged)
        return untagged

    def discard(self) -> None:
        """Close and remove the temporary files, if they still exist."""
        super().discard()
        self._tagged.unlink(missing_ok=True)
