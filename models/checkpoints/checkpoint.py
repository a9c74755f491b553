"""Checkpoints: a folder with ``weights.safetensors`` (float16), ``config.json`` and a model card.

Loading executes no code.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from models.presets.preset import Preset, preset_from_mapping
from models.presets.settings import to_mapping
from models.running import atomic, git_lfs
from models.running.hashes import sha256
from models.running.repository import ROOT

CHECKPOINT_FOLDER = ROOT / "checkpoints"
WEIGHTS, CONFIG, CARD = "weights.safetensors", "config.json", "README.md"
LARGEST_CONFIG_BYTES = 2**20
_UNREADABLE = (SafetensorError, OSError, KeyError, RuntimeError, AttributeError, NotImplementedError)


@dataclass(frozen=True)
class Checkpoint:
    """A trained network.

    Attributes:
        network: in eval mode, on the CPU, float32.
        preset: its settings.
        info: how it was trained: data, steps, minutes, hardware, validation SDR.
        identity: folder name and the first digits of the weights' SHA-256, ``small@1a2b3c4d``.
    """

    network: nn.Module
    preset: Preset
    info: dict[str, Any] = field(repr=False)
    identity: str


def save_checkpoint(
    folder: Path,
    weights: Mapping[str, Tensor],
    preset: Preset,
    info: Mapping[str, Any],
    card: str,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write a checkpoint folder; each file is written completely or not at all, the weights last.

    Args:
        folder: made if absent.
        weights: the network's state.
        preset: the settings that build the network.
        info: facts of the training, kept in ``config.json``.
        card: the model card, Markdown.
        dtype: type in which floating-point tensors are stored.

    Raises:
        ValueError: a weight is not finite, or too large for float16; an older checkpoint is unchanged.
    """
    stored = {
        name: (value.to(dtype) if value.is_floating_point() else value).detach().cpu().contiguous()
        for name, value in weights.items()
    }
    for name, value in stored.items():
        if not torch.isfinite(value).all():
            overflow = torch.isfinite(weights[name]).all()
            reason = "more than float16 holds (65504)" if overflow else "values that are not finite"
            raise ValueError(f"{folder}: not saved, weight {name!r} has {reason}")
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_json(folder / CONFIG, {"preset": to_mapping(preset), "info": dict(info)}, allow_nan=False)
    atomic.write_text(folder / CARD, card)
    with atomic.replacing(folder / WEIGHTS) as part:
        save_file(stored, part)


def load_checkpoint(folder: Path) -> Checkpoint:
    """Load a checkpoint folder.

    Files of unknown origin are safe to load: no code in them is executed. The network is allocated only after the names
    and shapes of the weights were compared with those that the configuration describes.

    Raises:
        FileNotFoundError: a file is absent.
        ValueError: a file is damaged or a git-LFS pointer, or weights and configuration do not match.
    """
    for name in (WEIGHTS, CONFIG):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder}: expected a checkpoint folder with {WEIGHTS} and {CONFIG}, no {name}")
    if git_lfs.is_pointer(folder / WEIGHTS):
        raise ValueError(f"{folder / WEIGHTS} is a git-LFS pointer, not weights; run `git lfs pull`")
    digest = sha256(folder / WEIGHTS)
    preset, info = read_config(folder / CONFIG)
    check_shapes(folder, preset)
    network = preset.build_network()
    state = network.state_dict()  # the network's own tensors
    try:
        with safe_open(folder / WEIGHTS, "pt") as weights:
            for name in state:
                state[name].copy_(weights.get_tensor(name))
    except _UNREADABLE as error:
        raise ValueError(f"{folder / WEIGHTS}: not a safetensors file, or cut short ({_first_line(error)})") from None
    if any(not torch.isfinite(value).all() for value in state.values()):
        raise ValueError(f"{folder / WEIGHTS}: holds values that are not finite; train or download it again")
    return Checkpoint(network.eval(), preset, info, f"{folder.resolve().name}@{digest[:8]}")


def read_config(path: Path) -> tuple[Preset, dict[str, Any]]:
    """Read a checkpoint's settings and information from its ``config.json``.

    Raises:
        ValueError: the file is damaged, too large, or not a checkpoint's configuration.
    """
    try:
        if path.stat().st_size > LARGEST_CONFIG_BYTES:
            raise ValueError(f"expected at most {LARGEST_CONFIG_BYTES} bytes, got {path.stat().st_size}")
        values = json.loads(path.read_text(encoding="utf-8"))
        return preset_from_mapping(values["preset"]), dict(values["info"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {_first_line(error)}"
        raise ValueError(f"{path}: not a checkpoint's configuration ({reason})") from None


def check_shapes(folder: Path, preset: Preset) -> None:
    """Compare the stored tensors' names and shapes with the network's, without allocating either.

    Raises:
        ValueError: the weights are damaged, or belong to another network.
    """
    try:
        with safe_open(folder / WEIGHTS, "pt") as weights:
            stored = {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    except _UNREADABLE as error:
        raise ValueError(f"{folder / WEIGHTS}: not a safetensors file, or cut short ({_first_line(error)})") from None
    with torch.device("meta"):
        expected = {name: tuple(value.shape) for name, value in preset.build_network().state_dict().items()}
    for name in [*expected, *stored]:
        if expected.get(name) != stored.get(name):
            reason = f"{name}: expected {expected.get(name, 'nothing')}, got {stored.get(name, 'nothing')}"
            raise ValueError(f"{folder}: {WEIGHTS} and {CONFIG} do not belong together ({reason[:200]})")


def find_checkpoint(name_or_path: str | Path) -> Path:
    """The folder of a shipped checkpoint, given its name, or of any checkpoint, given its path.

    Raises:
        FileNotFoundError: there is no such checkpoint; the message lists the shipped ones.
    """
    for folder in (Path(name_or_path), CHECKPOINT_FOLDER / name_or_path):
        if (folder / CONFIG).is_file() or (folder / WEIGHTS).is_file():
            return folder
    shipped = ", ".join(sorted(path.parent.name for path in CHECKPOINT_FOLDER.glob(f"*/{CONFIG}"))) or "none"
    raise FileNotFoundError(
        f"no checkpoint {str(name_or_path)!r}: expected a folder with {WEIGHTS}, or one of: {shipped}"
    )


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
