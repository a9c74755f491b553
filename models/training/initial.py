"""Fine-tuning: a network that begins with the weights of another."""

import re
from pathlib import Path

import torch
from torch import Tensor, nn

from models.checkpoint import load_checkpoint

STEM_PART = re.compile(r"^masks\.(\d+)\.")
"""The part of a BSRNN that belongs to one stem."""


def initialise(network: nn.Module, folder: Path) -> list[str]:
    """Copy a checkpoint's weights into a network, wherever a name and a shape agree.

    A stem's masker goes to the stem of the same name, whatever its place. What the checkpoint lacks (maskers of new
    stems, blocks that were added) keeps its random weights.

    Args:
        network: changed in place; has ``stems``.
        folder: of the checkpoint.

    Returns:
        Names of the weights that stay as they were.

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
    return sorted(learned - set(fitting))
