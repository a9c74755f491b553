"""How a track was separated: what a predictor can tell of its own work."""

from dataclasses import dataclass, field

LAST_RESORT = "mixture scaled"
"""The rung of what no network has covered."""


@dataclass
class Account:
    """How a track was separated.

    Attributes:
        limit_s: the time that was allowed.
        best: the best rung.
        audio_s: seconds of audio by rung.
        faults: what went wrong on the way and was got round.
    """

    limit_s: float
    best: str
    audio_s: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, rung: str, audio_s: float) -> None:
        """Book some audio to a rung."""
        self.audio_s[rung] = self.audio_s.get(rung, 0.0) + audio_s

    @property
    def reduced(self) -> dict[str, float]:
        """Seconds of audio that were not separated the best way, by rung."""
        return {rung: seconds for rung, seconds in self.audio_s.items() if rung != self.best and seconds > 0}
