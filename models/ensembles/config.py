"""Which checkpoints make an ensemble, and how much each counts: a few lines of YAML.

    checkpoints: [small, tiny]
    weights:
    - {stem: vocals, shares: [0.8, 0.2]}
    - {stem: drums, shares: [0.65, 0.35]}

A stem without weights is the mean of the checkpoints that have it.
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
"""Shares are written with a few decimals: their sum need not be 1 to the last one."""


@dataclass(frozen=True)
class StemShares:
    """How much each checkpoint counts in one stem.

    Attributes:
        stem: its name.
        shares: one for each checkpoint, in their order, at least 0, together 1.

    Raises:
        ValueError: a share below 0, or another sum.
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
        checkpoints: names of checkpoints that ship, or folders.
        weights: of stems; other stems are the mean of the checkpoints that have them.

    Raises:
        ValueError: no checkpoint, a stem named twice, or shares that are not one for each.
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
    """Whether what is given as a checkpoint is an ensemble's file, by its name."""
    path = Path(name)
    return path.suffix in SUFFIXES and not path.is_dir()


def read_ensemble(names: Sequence[str]) -> EnsembleConfig:
    """The ensemble that a command line names.

    Args:
        names: checkpoints, names or folders, for their mean; or one YAML file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an ensemble's, or stands beside other names; or a checkpoint is named twice.
    """
    files = [name for name in names if is_ensemble_file(name)]
    if not files:
        return _checked(EnsembleConfig(tuple(names)), "--checkpoint")
    if len(names) > 1:
        raise ValueError(f"--checkpoint {files[0]} is an ensemble by itself: expected no other --checkpoint")
    return _checked(read_ensemble_file(Path(files[0])), files[0])


def read_ensemble_file(path: Path) -> EnsembleConfig:
    """An ensemble's file alone: its checkpoints are not looked for.

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
    """Make sure that no two names are of one folder."""
    names = config.checkpoints
    if len(names) > 1 and len({find_checkpoint(name).resolve() for name in names}) < len(names):
        raise ValueError(f"{where}: expected different checkpoints, got {' '.join(names)}")
    return config


def write_ensemble(path: Path, config: EnsembleConfig, comment: str) -> None:
    """Write an ensemble's file, whole or not at all, under a line of comment."""
    text = yaml.safe_dump(to_mapping(config), sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
    atomic.write_text(path, f"# {comment}\n{text}")


def member_shares(config: EnsembleConfig, stems: Sequence[Sequence[str]]) -> list[dict[str, float]]:
    """How much each checkpoint counts: {stem: share}, without the stems in which it does not count.

    Args:
        config: the ensemble.
        stems: those that each checkpoint has.

    Raises:
        ValueError: a weight of a stem that a checkpoint does not have.
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
