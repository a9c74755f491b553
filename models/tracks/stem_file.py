"""A MUSDB18 track: one file of five audio streams."""

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from models.tracks.names import STEMS
from models.tracks.track import Track

STEM_FILE_SUFFIX = ".stem.mp4"
STEM_FILE_STREAMS = {"mixture": 0, "drums": 1, "bass": 2, "other": 3, "vocals": 4}
"""The streams of a MUSDB18 file, as in musdb's own configuration."""


@dataclass(frozen=True)
class StemFileTrack(Track):
    """A MUSDB18 track, one `*.stem.mp4` file of five streams, read through musdb (16-bit samples, needs ffmpeg)."""

    @property
    def stems(self) -> tuple[str, ...]:
        """See Track."""
        return STEMS

    @property
    def files(self) -> tuple[Path, ...]:
        """See Track."""
        return (self.path,)

    @property
    def sample_rate(self) -> int:
        """See Track."""
        return int(self._multitrack.rate)

    @property
    def num_frames(self) -> int:
        """See Track."""
        return int(self._multitrack.samples)

    def read_stem(self, stem: str, start: int = 0, frames: int = -1) -> np.ndarray:
        """See Track. The whole stream is decoded each time: only then is every position exact to the sample."""
        if stem not in STEM_FILE_STREAMS:
            raise self._no_stem(stem)
        multitrack = self._multitrack
        try:
            audio = multitrack.load_audio(str(self.path), STEM_FILE_STREAMS[stem])
        except (Exception, Warning) as error:
            raise self._unreadable(error) from error
        if audio.ndim == 1:
            audio = audio[:, None]
        if audio.size == 0:
            raise self._unreadable(f"its {stem} stream is empty")
        if not 0 <= start <= len(audio):
            raise ValueError(f"track {self.name!r}: start {start} lies outside its {len(audio)} samples")
        end = len(audio) if frames < 0 else start + frames
        return np.ascontiguousarray(audio[start:end].T, dtype=np.float32)

    def _no_stem(self, stem: str) -> ValueError:
        return ValueError(
            f"track {self.name!r} has no {stem}: the stems of {self.path} are {', '.join(STEMS)}; "
            "other stems need folders of audio files"
        )

    def _unreadable(self, reason: object) -> ValueError:
        detail = getattr(reason, "stderr", None)  # ffmpeg-python keeps what ffprobe said
        text = detail.decode(errors="replace").strip().splitlines()[-1] if detail else str(reason).split("\n")[0]
        return ValueError(f"track {self.name!r}: expected a stem file of five audio streams, got {self.path} ({text})")

    @cached_property
    def _multitrack(self) -> Any:
        """musdb's own track object; holds the stream information, no audio."""
        missing = [program for program in ("ffmpeg", "ffprobe") if shutil.which(program) is None]
        if missing:
            raise FileNotFoundError(f"{' and '.join(missing)} not found: reading {self.path} needs ffmpeg, install it")
        from musdb.audio_classes import MultiTrack

        try:
            multitrack = MultiTrack(name=self.name, path=str(self.path), subset=self.split, stem_id=0, is_wav=False)
            num_streams = multitrack.info.nb_audio_streams
        except Exception as error:
            raise self._unreadable(error) from error
        if num_streams != len(STEM_FILE_STREAMS):
            raise self._unreadable(f"{num_streams} audio streams")
        return multitrack
