"""Estimates, from the number of multiplications, whether networks are fast enough on the grader's GPU."""

from collections.abc import Iterator
from pathlib import Path

from models.checkpoints.checkpoint import CONFIG, read_config
from models.macs import seconds_on_t4
from submission.preflight.files import checkpoint_folders
from submission.rules.challenge import TIME_FACTOR


def cost_notes(root: Path) -> Iterator[str]:
    """A note for each checkpoint of a submission that records its cost (`gmacs_per_second`).

    Args:
        root: the submission.
    """
    for folder in checkpoint_folders(root):
        try:
            gmacs = read_config(folder / CONFIG)[1].get("gmacs_per_second")
        except (ValueError, OSError):
            continue  # check_checkpoints reports it
        if isinstance(gmacs, int | float):
            needed_s = seconds_on_t4(gmacs)
            verdict = "enough" if needed_s < TIME_FACTOR else "too slow"
            yield (
                f"{folder.name}: {gmacs:g} GMAC, an estimated {needed_s:.2f} s on a T4 for a second of audio, "
                f"of the {TIME_FACTOR} s allowed: {verdict}"
            )
