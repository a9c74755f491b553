"""How systems are run and scored: what a run may set besides its systems and tracks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What a run may set.

    Attributes:
        device: where the systems run, as torch names it; scores depend on it.
        threads: CPU threads of a system; times depend on it, scores do not.
        keep_audio_s: seconds of each track whose audio is kept, 0 for none; no figure depends on it.
        scorer: what computes the frames, see `scoring.SCORERS`.
    """

    device: str
    threads: int
    keep_audio_s: int = 0
    scorer: str = "bandsplit"
