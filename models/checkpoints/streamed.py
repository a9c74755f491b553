"""Runs a checkpoint of several networks with the memory of one: each is read from disk when it runs."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from models.bsrnn import Estimate
from models.checkpoints.checkpoint import CONFIG, WEIGHTS, Checkpoint, check_shapes, load_checkpoint, read_config
from models.presets.preset import ARCHITECTURES, Preset
from models.public.several import SeveralConfig
from models.running.hashes import sha256


class StreamedNetworks(nn.Module):
    """As ``models.public.several.SeveralNetworks``, but no network is kept in memory.

    Args:
        preset: settings of the checkpoint.
        folder: of the checkpoint.

    Raises:
        ValueError: the checkpoint is one network.
    """

    is_reentrant = False  # two calls at once would hold two networks

    def __init__(self, preset: Preset, folder: Path) -> None:
        super().__init__()
        if not isinstance(preset.model, SeveralConfig):
            raise ValueError(f"{folder}: expected a checkpoint of several networks, got one network; load it whole")
        self.config: SeveralConfig = preset.model
        self.preset, self.folder = preset, folder
        self.stems, self.sample_rate = self.config.stems, self.config.sample_rate
        self.channels, self.hop = self.config.channels, self.config.hop
        self._indices = list(range(len(self.config.networks)))

    def forward(self, mixture: Tensor) -> Estimate:
        """Mixture [B, C, T] to waveforms [B, S, C, T]."""
        stems = [self._read(index).to(mixture.device)(mixture).waveforms for index in self._indices]
        return Estimate(torch.cat(stems, dim=1))

    def keep_stems(self, stems: Sequence[str]) -> None:
        """Do not run the networks that give none of these stems."""
        networks = self.config.networks
        self._indices = [index for index in self._indices if set(networks[index].stems) & set(stems)]
        self.stems = tuple(stem for index in self._indices for stem in networks[index].stems)

    def _read(self, index: int) -> nn.Module:
        """Read one network; it is on the CPU and in evaluation mode.

        Raises:
            ValueError: its weights are absent, have other shapes or are not finite.
        """
        model = dataclasses.replace(self.config, networks=(self.config.networks[index],))
        network = ARCHITECTURES[self.preset.architecture][1](model)
        prefix = f"networks.{index}."
        path = self.folder / WEIGHTS
        try:
            with safe_open(path, framework="pt") as file:
                names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 - no mapping
                weights = {f"networks.0.{name.removeprefix(prefix)}": file.get_tensor(name).float() for name in names}
            network.load_state_dict(weights, assign=True)
        except (SafetensorError, RuntimeError) as error:
            raise ValueError(f"{path}: network {index} cannot be read ({' '.join(str(error).split())[:200]})") from None
        if any(not torch.isfinite(value).all() for value in weights.values()):
            raise ValueError(f"{path}: holds values that are not finite; import it again")
        return network.eval()


def load_streamed(folder: Path) -> Checkpoint:
    """Open a checkpoint whose networks are read one at a time; a checkpoint of one network is loaded whole.

    Raises:
        FileNotFoundError, ValueError: see ``models.checkpoints.checkpoint.load_checkpoint``.
    """
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        return load_checkpoint(folder)  # raises an error that names the missing file
    preset, info = read_config(folder / CONFIG)
    if not (isinstance(preset.model, SeveralConfig) and len(preset.model.networks) > 1):
        return load_checkpoint(folder)
    check_shapes(folder, preset)
    digest = sha256(folder / WEIGHTS)
    return Checkpoint(StreamedNetworks(preset, folder).eval(), preset, info, f"{folder.resolve().name}@{digest[:8]}")
