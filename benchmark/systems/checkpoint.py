"""Our own checkpoints as systems: our network, and other architectures that we trained."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.provenance.weights import OURS_ROLE, PEER_ROLE, Source, file_hash
from benchmark.systems.interface import count_parameters
from benchmark.systems.training_data import training_note

LABELS = {"bsrnn": "BSRNN", "demucs": "Demucs", "openunmix": "Open-Unmix"}


def resolve_checkpoint(name: str, kind: str, checkpoint: str) -> Source:
    """Find a checkpoint's weights.

    Args:
        name: the system's name in the run.
        kind: one of LABELS.
        checkpoint: name or folder.

    Raises:
        FileNotFoundError: there is no such checkpoint.
    """
    from models.checkpoints.checkpoint import find_checkpoint

    try:
        folder = find_checkpoint(checkpoint)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{name} has no weights: {error}") from error
    weights = sorted(folder.glob("*.safetensors"))
    info = _info(folder)
    minutes = _processor_minutes(info)
    budget = f", {minutes:.0f} processor min" if minutes else ""
    origin = f"imported, {info['imported_from']}" if "imported_from" in info else "ours"
    text = info.get("training_data")
    note, flag = training_note(text) if isinstance(text, str) else ("", "")
    return Source(
        name,
        f"{LABELS[kind]} ({folder.name}, {origin}{budget})",
        "checkpoint",
        str(folder),
        f"{folder.resolve().name}@{file_hash(weights)}",
        file_hash([*weights, *sorted(folder.glob("*.json"))]),
        note,
        flag=flag,
        role=OURS_ROLE if kind == "bsrnn" and origin == "ours" else PEER_ROLE,
    )


def _info(folder: Path) -> Mapping[str, Any]:
    """`info` of a checkpoint's config; empty if it cannot be read, since loading it reports the error."""
    try:
        info = json.loads((folder / "config.json").read_text(encoding="utf-8"))["info"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return info if isinstance(info, dict) else {}


def _processor_minutes(info: Mapping[str, Any]) -> float:
    """Processor minutes of training that a checkpoint records, over all its runs; 0 if it records none."""
    try:
        return float(info.get("cpu_minutes_in_all") or info.get("cpu_minutes") or 0)
    except (ValueError, TypeError):
        return 0.0


class CheckpointSystem:
    """One of our checkpoints, or an ensemble of some, through `models.ensembles.ensemble.open_separator`.

    Attributes:
        stems, sample_rate, parameters: see System.

    Args:
        location: folder of the checkpoint, or file of the ensemble.
        device: where it runs.
        precision: see ``models.running.precision``.
        workers: chunks at once, see ``NetworkSeparator``.
    """

    def __init__(self, location: str, device: str, precision: str = "float32", workers: int | None = None) -> None:
        from models.ensembles.ensemble import members_of, open_separator

        self._location = location
        self._separator = open_separator([location], device=device, precision=precision)
        for member in members_of(self._separator):
            member.workers = workers or member.workers
        self.stems, self.sample_rate = self._separator.stems, self._separator.sample_rate
        self.parameters = sum(count_parameters(member.network) for member in members_of(self._separator))

    def separate(self, mixture: np.ndarray, sample_rate: int | None = None) -> dict[str, np.ndarray]:
        """See System."""
        return self._separator.separate(mixture, sample_rate)

    def gmacs_per_second(self) -> float:
        """See Counted."""
        from models.checkpoints.checkpoint import find_checkpoint, load_checkpoint
        from models.ensembles.config import read_ensemble
        from models.macs import gmacs_per_second

        folders = [find_checkpoint(name) for name in read_ensemble([self._location]).checkpoints]
        return sum(gmacs_per_second(load_checkpoint(folder).preset, overlapped=True) for folder in folders)
