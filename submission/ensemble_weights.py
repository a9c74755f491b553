"""How much each checkpoint of a package's ensemble counts: `checkpoints/ensemble.yaml`, where there is one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from models.checkpoint import CHECKPOINT_FOLDER
from models.ensemble_config import member_shares, read_ensemble

ENSEMBLE_FILE = Path("checkpoints/ensemble.yaml")
"""Where it lies in a package, or in a repository."""


def read_shares(names: Sequence[str], stems: Sequence[Sequence[str]]) -> list[Mapping[str, float]] | None:
    """The share of each checkpoint in each stem, {stem: share}; None for the plain mean.

    Args:
        names: the checkpoints of the ensemble.
        stems: those that each of them has.

    Raises:
        ValueError: the file is of other checkpoints, or damaged.
    """
    path = CHECKPOINT_FOLDER / ENSEMBLE_FILE.name
    if not path.is_file():
        return None
    config = read_ensemble([str(path)])
    if config.checkpoints != tuple(names):
        raise ValueError(
            f"{path}: expected weights of the ensemble {', '.join(names)}, got {', '.join(config.checkpoints)}; "
            "delete it for the plain mean"
        )
    return [*member_shares(config, stems)]
