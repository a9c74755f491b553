"""The settings of a run besides its systems and tracks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The settings of a run.

    Attributes:
        device: torch's name of the device where the systems run; scores depend on it.
        threads: CPU threads of a system; times depend on it, scores do not.
        keep_audio_s: seconds of each track whose audio is stored, 0 for none; no figure depends on it.
        scorer: computes the frames, see `scores.SCORERS`.
    """

    device: str
    threads: int
    keep_audio_s: int = 0
    scorer: str = "bandsplit"
