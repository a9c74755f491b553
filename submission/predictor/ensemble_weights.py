"""Reads the weight of each checkpoint of a package's ensemble from `checkpoints/ensemble.yaml`, if there is one."""

from collections.abc import Sequence
from pathlib import Path

from models.ensembles.config import EnsembleConfig, member_shares, read_ensemble_file

ENSEMBLE_FILE = Path("checkpoints/ensemble.yaml")
"""Its path in a package, and in a repository."""


def read_shares(folder: Path, names: Sequence[str], stems: Sequence[Sequence[str]]) -> list[dict[str, float]]:
    """The weight of each checkpoint in each stem, {stem: share}; equal weights if there is no file.

    Args:
        folder: with the checkpoints and the file.
        names: the checkpoints of the ensemble.
        stems: the stems of each checkpoint.

    Raises:
        ValueError: the file names other checkpoints, or is damaged.
    """
    path = folder / ENSEMBLE_FILE.name
    if not path.is_file():
        return member_shares(EnsembleConfig(tuple(names)), stems)
    config = read_ensemble_file(path)
    if config.checkpoints != tuple(names):
        raise ValueError(
            f"{path}: expected weights of the ensemble {', '.join(names)}, got {', '.join(config.checkpoints)}; "
            "delete the file to use equal weights"
        )
    return member_shares(config, stems)
