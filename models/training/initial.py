"""Fine-tuning: a network that begins with the weights of another."""

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from models.checkpoints.checkpoint import load_checkpoint

STEM_PART = re.compile(r"^masks\.(\d+)\.")
"""The part of a BSRNN that belongs to one stem."""


@dataclass(frozen=True)
class Beginning:
    """What a run began with.

    Attributes:
        identity: of the checkpoint.
        cpu_minutes: processor minutes that it had been trained for, with all that it began with itself.
        kept: names of the weights that it did not give.
    """

    identity: str
    cpu_minutes: float
    kept: tuple[str, ...]


def initialise(network: nn.Module, folder: Path) -> Beginning:
    """Copy a checkpoint's weights into a network, wherever a name and a shape agree.

    A stem's masker goes to the stem of the same name, whatever its place. What the checkpoint lacks (maskers of new
    stems, blocks that were added) keeps its random weights.

    Args:
        network: changed in place; has ``stems``.
        folder: of the checkpoint.

    Raises:
        FileNotFoundError, ValueError: no checkpoint there, a damaged one, or one that shares no weight.
    """
    checkpoint = load_checkpoint(folder)
    before, after = checkpoint.preset.model.stems, tuple(network.stems)  # type: ignore[arg-type]
    found: dict[str, Tensor] = {}
    for name, value in checkpoint.network.state_dict().items():
        if match := STEM_PART.match(name):
            stem = before[int(match[1])]
            if stem not in after:
                continue
            name = f"masks.{after.index(stem)}.{name[match.end() :]}"
        found[name] = value
    own = network.state_dict()
    learned = {name for name, _ in network.named_parameters()}
    fitting = {name: value for name, value in found.items() if name in own and own[name].shape == value.shape}
    if not learned & set(fitting):
        raise ValueError(f"--init: {folder} ({checkpoint.preset.architecture}) shares no weight with this network")
    with torch.no_grad():
        network.load_state_dict(fitting, strict=False)
    info = checkpoint.info
    minutes = float(info.get("cpu_minutes_in_all", info.get("cpu_minutes", 0.0)))
    return Beginning(checkpoint.identity, minutes, tuple(sorted(learned - set(fitting))))
