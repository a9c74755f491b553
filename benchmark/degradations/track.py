"""A track whose mixture is degraded and whose stems are clean."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.degradations.degradation import Degradation, gain_between
from models.tracks import STEMS, Track


@dataclass(frozen=True)
class DegradedTrack(Track):
    """A track with a degraded mixture. A change of level is in its stems too, so that it costs no score by itself.

    Attributes:
        original: the track as it is.
        degradation: what happens to its mixture.
    """

    original: Track
    degradation: Degradation

    @classmethod
    def of(cls, original: Track, degradation: Degradation) -> "DegradedTrack":
        """A track in a split of its own, for example "test mp3=128k"."""
        split = f"{original.split} {degradation.name.replace(':', '=')}"
        return cls(original.name, split, original.path, original, degradation)

    @property
    def stems(self) -> tuple[str, ...]:
        """Those of the original."""
        return self.original.stems

    @property
    def files(self) -> tuple[Path, ...]:
        """Those of the original."""
        return self.original.files

    @property
    def sample_rate(self) -> int:
        """That of the original."""
        return self.original.sample_rate

    @property
    def num_frames(self) -> int:
        """That of the original."""
        return self.original.num_frames

    def read_stem(self, stem: str, start: int = 0, frames: int = -1) -> np.ndarray:
        """See `Track`."""
        audio = self.read_stems([stem])[stem][:, start:]
        return audio if frames < 0 else audio[:, :frames]

    def read_stems(self, stems: Sequence[str] = STEMS) -> dict[str, np.ndarray]:
        """See `Track`."""
        clean = [stem for stem in stems if stem != "mixture"]
        audio = self.original.read_stems(clean) if clean else {}
        if "mixture" in stems or self.degradation.changes_level:
            mixture = self.original.read_mixture()
            degraded = self.degradation.apply(mixture, self.sample_rate, self.name)
            if self.degradation.changes_level:
                gain = np.float32(gain_between(mixture, degraded))
                audio = {stem: gain * part for stem, part in audio.items()}
            if "mixture" in stems:
                audio["mixture"] = degraded
        return self._checked(audio)
