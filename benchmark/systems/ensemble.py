"""Ensembles of our checkpoints as systems: `bsrnn:ENSEMBLE.yaml`."""

from pathlib import Path

from benchmark.provenance.weights import (
    EXTRA_DATA_FLAG,
    OURS_ROLE,
    PEER_ROLE,
    TEST_SET_FLAG,
    UNKNOWN_DATA_FLAG,
    Source,
    file_hash,
)
from benchmark.systems.checkpoint import resolve_checkpoint

WORST_FIRST = (TEST_SET_FLAG, UNKNOWN_DATA_FLAG, EXTRA_DATA_FLAG, "")


def is_ensemble(variant: str) -> bool:
    """Whether a system's variant names an ensemble file."""
    from models.ensembles.config import is_ensemble_file

    return is_ensemble_file(variant)


def resolve_ensemble(name: str, file: str) -> Source:
    """Find the weights of all members of an ensemble.

    Args:
        name: the system's name in the run.
        file: the ensemble's YAML, see `models.ensembles.config`.

    Raises:
        FileNotFoundError: the file, or one of its checkpoints, is missing.
        ValueError: the file is not an ensemble file.
    """
    from models.ensembles.config import read_ensemble

    path = Path(file)
    members = [resolve_checkpoint(name, "bsrnn", checkpoint) for checkpoint in read_ensemble([file]).checkpoints]
    names = [member.checkpoint.partition("@")[0] for member in members]
    role = OURS_ROLE if all(member.role == OURS_ROLE for member in members) else PEER_ROLE
    return Source(
        name,
        f"Ensemble ({path.stem}: {', '.join(names)}; {'ours' if role == OURS_ROLE else 'not all ours'})",
        "checkpoint",
        str(path),
        f"{path.stem}@{file_hash([path])}: {' + '.join(member.checkpoint for member in members)}",
        " ".join([file_hash([path]), *(member.digest for member in members)]),
        "; ".join(f"{member.checkpoint}: {member.note}" for member in members if member.note),
        flag=min((member.flag for member in members), key=WORST_FIRST.index),
        role=role,
    )
