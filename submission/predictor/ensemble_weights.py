"""How much each checkpoint of a package's ensemble counts: `checkpoints/ensemble.yaml`, where there is one."""

from collections.abc import Sequence
from pathlib import Path

from models.ensembles.config import EnsembleConfig, member_shares, read_ensemble_file

ENSEMBLE_FILE = Path("checkpoints/ensemble.yaml")
"""Where it lies in a package, or in a repository."""


def read_shares(folder: Path, names: Sequence[str], stems: Sequence[Sequence[str]]) -> list[dict[str, float]]:
    """How much each checkpoint counts in each stem, {stem: share}; all the same where there is no file.

    Args:
        folder: of the checkpoints, and of the file.
        names: the checkpoints of the ensemble.
        stems: those that each of them has.

    Raises:
        ValueError: the file is of other checkpoints, or damaged.
    """
    path = folder / ENSEMBLE_FILE.name
    if not path.is_file():
        return member_shares(EnsembleConfig(tuple(names)), stems)
    config = read_ensemble_file(path)
    if config.checkpoints != tuple(names):
        raise ValueError(
            f"{path}: expected weights of the ensemble {', '.join(names)}, got {', '.join(config.checkpoints)}; "
            "delete it for the plain mean"
        )
    return member_shares(config, stems)
