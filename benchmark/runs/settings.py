"""The settings of a run besides its systems and tracks."""

from dataclasses import dataclass

EXCERPT_S = 15
"""Seconds of each track that a run stores as mp3 for its page."""


@dataclass(frozen=True)
class Settings:
    """The settings of a run.

    Attributes:
        device: torch's name of the device where the systems run; scores depend on it.
        threads: CPU threads of a system; times depend on it, scores do not.
        keep_audio_s: seconds of each track whose audio is stored, 0 for none; no figure depends on it.
        scorer: computes the frames, see `scores.SCORERS`.
        metrics: the metrics of `metrics.EXTRA` that are computed besides those that always are.
        frame_s: seconds of a frame of the scores of frames.
        keep_estimates: whether the whole estimates are stored, so that they can be scored again; no figure depends on
            it.
    """

    device: str
    threads: int
    keep_audio_s: int = 0
    scorer: str = "bandsplit"
    metrics: tuple[str, ...] = ()
    frame_s: float = 1.0
    keep_estimates: bool = False
