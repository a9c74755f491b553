"""The configuration of an ensemble, a YAML file: its checkpoints, and the share of each in each stem.

    checkpoints: [small, tiny]
    weights:
    - {stem: vocals, shares: [0.8, 0.2]}
    - {stem: drums, shares: [0.65, 0.35]}

A stem without weights is the plain mean of the checkpoints that have it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from models.checkpoints.checkpoint import find_checkpoint
from models.presets.settings import build, read_yaml, to_mapping
from models.running import atomic

SUFFIXES = (".yaml", ".yml")
SUM_TOLERANCE = 1e-3
"""Allowed difference of a sum of shares from 1; shares are stored with a few decimals."""


@dataclass(frozen=True)
class StemShares:
    """The share of each checkpoint in one stem.

    Attributes:
        stem: its name.
        shares: one for each checkpoint, in their order; at least 0, with sum 1.

    Raises:
        ValueError: a share is below 0, or the sum is not 1.
    """

    stem: str
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        total = sum(self.shares)
        if not (abs(total - 1) <= SUM_TOLERANCE and min(self.shares) >= 0):
            raise ValueError(f"{self.stem}: expected shares of at least 0 that add up to 1, got {list(self.shares)}")


@dataclass(frozen=True)
class EnsembleConfig:
    """An ensemble.

    Attributes:
        checkpoints: names of shipped checkpoints, or folders.
        weights: shares for some stems; other stems are the plain mean of the checkpoints that have them.

    Raises:
        ValueError: no checkpoint, a stem named twice, or another number of shares than checkpoints.
    """

    checkpoints: tuple[str, ...]
    weights: tuple[StemShares, ...] = ()

    def __post_init__(self) -> None:
        if not self.checkpoints:
            raise ValueError("checkpoints: expected at least one, got none")
        stems = [weight.stem for weight in self.weights]
        if len(set(stems)) < len(stems):
            raise ValueError(f"weights: expected each stem once, got {', '.join(stems)}")
        for weight in self.weights:
            if len(weight.shares) != len(self.checkpoints):
                raise ValueError(
                    f"{weight.stem}: expected {len(self.checkpoints)} shares, one for each checkpoint, "
                    f"got {len(weight.shares)}"
                )


def is_ensemble_file(name: str | Path) -> bool:
    """Whether the value of `--checkpoint` is the path of an ensemble's file."""
    path = Path(name)
    return path.suffix in SUFFIXES and not path.is_dir()


def read_ensemble(names: Sequence[str]) -> EnsembleConfig:
    """The ensemble that a command line names.

    Args:
        names: names or folders of checkpoints, for their plain mean; or one YAML file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an ensemble's, or is given with other names; or a checkpoint is named twice.
    """
    files = [name for name in names if is_ensemble_file(name)]
    if not files:
        return _checked(EnsembleConfig(tuple(names)), "--checkpoint")
    if len(names) > 1:
        raise ValueError(f"--checkpoint {files[0]} is an ensemble: expected no other --checkpoint, got {len(names)}")
    return _checked(read_ensemble_file(Path(files[0])), files[0])


def read_ensemble_file(path: Path) -> EnsembleConfig:
    """Read an ensemble's file without searching for its checkpoints.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an ensemble's.
    """
    values = read_yaml(path)
    try:
        return build(EnsembleConfig, values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _checked(config: EnsembleConfig, where: str) -> EnsembleConfig:
    """Check that no two names are of the same folder."""
    names = config.checkpoints
    if len(names) > 1 and len({find_checkpoint(name).resolve() for name in names}) < len(names):
        raise ValueError(f"{where}: expected different checkpoints, got {' '.join(names)}")
    return config


def write_ensemble(path: Path, config: EnsembleConfig, comment: str) -> None:
    """Write an ensemble's file, completely or not at all; its first line is the comment."""
    text = yaml.safe_dump(to_mapping(config), sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
    atomic.write_text(path, f"# {comment}\n{text}")


def member_shares(config: EnsembleConfig, stems: Sequence[Sequence[str]]) -> list[dict[str, float]]:
    """The shares of each checkpoint: {stem: share}, without stems in which its share is 0.

    Args:
        config: the ensemble.
        stems: the stems of each checkpoint.

    Raises:
        ValueError: a checkpoint has a share in a stem that it does not separate.
    """
    shares = [dict.fromkeys(names, 1.0) for names in stems]
    for weight in config.weights:
        for checkpoint, share, own in zip(config.checkpoints, weight.shares, shares, strict=True):
            if share > 0 and weight.stem not in own:
                raise ValueError(
                    f"weights: {checkpoint} cannot have a share of {share:g} in {weight.stem}, "
                    f"it separates {', '.join(own)}"
                )
            if share > 0:
                own[weight.stem] = share
            else:
                own.pop(weight.stem, None)
    return shares
