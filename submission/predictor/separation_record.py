"""The record of how a track was separated: seconds of audio by mode, and what failed."""

from dataclasses import dataclass, field

LAST_RESORT = "mixture scaled"
"""The mode of the audio that no network separated: an equal part of the mixture for each stem."""


@dataclass
class SeparationRecord:
    """How a track was separated.

    Attributes:
        limit_s: the allowed time, seconds.
        best: the mode of full quality.
        audio_s: seconds of audio by mode.
        faults: errors that the predictor worked around.
    """

    limit_s: float
    best: str
    audio_s: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, mode: str, audio_s: float) -> None:
        """Count some seconds of audio for a mode."""
        self.audio_s[mode] = self.audio_s.get(mode, 0.0) + audio_s

    @property
    def reduced(self) -> dict[str, float]:
        """Seconds of audio that were not separated at full quality, by mode."""
        return {mode: seconds for mode, seconds in self.audio_s.items() if mode != self.best and seconds > 0}
