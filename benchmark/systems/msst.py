"""Networks of Music-Source-Separation-Training (MSST) from a config.yaml and a checkpoint, built by pymss-core.

Source: https://github.com/ZFTurbo/Music-Source-Separation-Training; `demix` cuts a mixture into chunks.
Differs: chunks are joined by our triangle window, not by MSST's flat one with short fades; float32 on a GPU too.
"""

import importlib.util
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.provenance.weights import Source, file_hash
from benchmark.systems.interface import count_parameters, separate_at
from benchmark.systems.msst_config import LABELS, MsstConfig, read_config, read_yaml
from benchmark.systems.training_data import UNKNOWN, training_note

CARD = "bandsplit.yaml"
"""Optional file of the user beside the weights, with one line: `training_data: NAME, NAME`."""
SUFFIXES = (".ckpt", ".pth", ".pt", ".th", ".bin", ".safetensors")
"""Suffixes of files of weights."""


def resolve_msst(name: str, variant: str) -> Source:
    """Find and check a config.yaml, and find the weights beside it.

    Args:
        name: the system's name in the run.
        variant: the folder.

    Raises:
        FileNotFoundError: pymss-core is not installed, or the folder lacks a file.
        ValueError: the folder holds several configurations or checkpoints, or the configuration cannot be used.
    """
    if not variant:
        raise ValueError(f"{name}: expected msst:FOLDER, a folder with a config.yaml and one checkpoint, got no folder")
    if importlib.util.find_spec("pymss_core") is None:
        raise FileNotFoundError(
            f"{name}: the package pymss-core is not installed: pip install --no-deps -r requirements-peers.txt"
        )
    folder = Path(variant).expanduser().resolve()
    description, weights = _files(name, folder)
    config = read_config(description)
    card = folder / CARD
    cards = [card] if card.is_file() else []
    note, flag = training_note(_training_data(card) if cards else UNKNOWN)
    scored = [output for outputs in config.scored.values() for output in outputs]
    if left_out := [stem for stem in config.stems if stem not in scored]:
        note += f"; {', '.join(left_out)} not scored"
    if extra := config.scored.get("other", ())[1:]:
        note += f"; {', '.join(extra)} counted as other"
    return Source(
        name,
        f"{LABELS[config.kind]} ({folder.name}, local folder)",
        "msst",
        str(folder),
        f"{folder.name}@{file_hash([weights])}",
        file_hash([description, weights, *cards]),
        note,
        flag=flag,
    )


def _files(name: str, folder: Path) -> tuple[Path, Path]:
    """The configuration and the weights of a folder."""
    files = sorted(file for file in folder.iterdir() if file.is_file()) if folder.is_dir() else []
    configs = [file for file in files if file.suffix in (".yaml", ".yml") and file.name != CARD]
    weights = [file for file in files if file.suffix in SUFFIXES]
    if len(configs) != 1 or len(weights) != 1:
        got = ", ".join(file.name for file in (*configs, *weights)[:8]) or "neither"
        error = ValueError if len(configs) > 1 or len(weights) > 1 else FileNotFoundError
        raise error(
            f"{name}: {folder}: expected one config.yaml of MSST and one checkpoint ({', '.join(SUFFIXES)}), got {got}"
        )
    return configs[0], weights[0]


def _training_data(card: Path) -> str:
    match read_yaml(card):
        case {"training_data": str(text), **others} if not others:
            return text
    raise ValueError(f"{card}: expected one line, training_data: NAME, NAME (or unknown), got others; write that line")


class MsstSystem:
    """A network of MSST that separates chunk by chunk.

    Attributes:
        stems, sample_rate, parameters: see System.
    """

    def __init__(self, network: Any, config: MsstConfig, device: str) -> None:
        """Put the network into evaluation mode and onto the device.

        Args:
            network: maps mixtures [B, C, chunk_samples] to [B, S, C, chunk_samples], or [B, C, ...] for a single stem.
            config: its settings.
            device: where it runs.
        """
        self._network, self._config, self._device = network.eval().to(device), config, device
        self.stems = tuple(config.scored)
        self.sample_rate = config.sample_rate
        self.parameters = count_parameters(network)

    def separate(self, mixture: np.ndarray, sample_rate: int | None = None) -> dict[str, np.ndarray]:
        """See System."""
        return separate_at(self.sample_rate, self._config.channels, self._separate, mixture, sample_rate)

    def _separate(self, mixture: Any) -> dict[str, Any]:
        """Separate a mixture [C, T] into {stem: [C, T]}, with mirrored ends and normalisation as in MSST."""
        import torch

        from models.signal.chunking import overlap_add

        config = self._config
        mean, scale = torch.zeros(()), torch.ones(())
        if config.normalize and (mono := mixture.mean(0)).std(correction=0) > 0:
            mean, scale = mono.mean(), mono.std(correction=0)
        num_samples = mixture.shape[-1]
        hop = max(1, config.chunk_samples // config.num_overlap)
        border = config.chunk_samples - hop
        border = border if num_samples > 2 * border else 0
        audio = torch.nn.functional.pad((mixture - mean) / scale, (border, border), mode="reflect")
        pieces = overlap_add(self._separate_chunks, [audio], config.chunk_samples, hop, config.batch)
        output = torch.cat(list(pieces), dim=-1)[..., border : border + num_samples] * scale + mean
        outputs = dict(zip(config.stems, output, strict=True))
        return {stem: sum(outputs[name] for name in names) for stem, names in config.scored.items()}

    def _separate_chunks(self, chunks: Any) -> Any:
        """Chunks [B, C, t] to [B, S, C, t]; a short chunk is padded by its mirrored end, or by zeros."""
        import torch

        config, length = self._config, chunks.shape[-1]
        missing = config.chunk_samples - length
        mode = "reflect" if length > config.chunk_samples // 2 else "constant"
        padded = torch.nn.functional.pad(chunks, (0, missing), mode=mode) if missing else chunks
        output = self._run(padded)
        expected = (len(chunks), len(config.stems), *padded.shape[1:])
        if output.shape != expected:
            raise ValueError(
                f"{LABELS[config.kind]}: expected an output {list(expected)} (chunks, stems {', '.join(config.stems)},"
                f" channels, samples), got {list(output.shape)}: either its config.yaml is of other weights,"
                " or chunk_size is not a multiple of the hop"
            )
        return output[..., :length]

    def _run(self, chunks: Any) -> Any:
        """Run the network on chunks [B, C, T]; returns [B, S, C, T] if it matches its configuration."""
        import torch

        # BandIt separates each channel alone; pymss-core's version takes the channels as mono chunks.
        is_mono = self._config.kind == "bandit"
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A window was not provided")  # SCNet has none
            output = self._network((chunks.reshape(-1, 1, chunks.shape[-1]) if is_mono else chunks).to(self._device))
        output = output.float().cpu()
        if is_mono:
            return output.unflatten(0, chunks.shape[:2]).flatten(2, 3).transpose(1, 2)
        return output if output.dim() > chunks.dim() else output[:, None]


def load_msst(location: str, device: str) -> MsstSystem:
    """Build the network of a folder and load its weights; no code in the files is run.

    Raises:
        ValueError: pymss-core cannot build it, or the weights are of another network.
    """
    import pymss_core

    description, weights = _files("msst", Path(location))
    config = read_config(description)
    state = pymss_core.unwrap_state_dict(_read_weights(weights))
    network = build_network(config, description)
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{weights}: expected weights of the {LABELS[config.kind]} in {description.name}, got others ({reason})"
        ) from error
    if config.kind in ("bandit", "bandit_v2"):
        _scale_windows(network)
    return MsstSystem(network, config, device)


def build_network(config: MsstConfig, description: Path) -> Any:
    """Build the network of a configuration, with random weights.

    pymss-core's YAML loader accepts Python tags, so it gets a copy without tags.

    Raises:
        ValueError: pymss-core cannot build it.
    """
    import pymss_core
    import yaml

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "config.yaml"
        copy.write_text(yaml.safe_dump(_as_in_msst(config)), encoding="utf-8")
        try:
            return pymss_core.get_model_from_config(config.kind, copy)[0]
        except Exception as error:  # the networks raise many error classes
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise ValueError(f"{description}: pymss-core cannot build this {LABELS[config.kind]} ({reason})") from error


def _as_in_msst(config: MsstConfig) -> dict[str, Any]:
    """The configuration with two settings whose defaults differ between MSST and pymss-core.

    MSST's BS-RoFormer silences the lowest bin. `mask_estimator_depth` of its Mel-Band RoFormer counts only the hidden
    layers.
    """
    values = dict(config.values)
    if config.kind == "bs_roformer":
        values["model"] = {"zero_dc": True, **values["model"]}
    elif config.kind == "mel_band_roformer":
        hidden_layers = values["model"].get("mask_estimator_depth", 1)
        values["model"] = {"mlp_hidden_layers": hidden_layers, **values["model"]}
    return values


def _scale_windows(network: Any) -> None:
    """Scale the STFT of a BandIt as in MSST, which normalises by the window's energy; pymss-core uses its length."""
    for transform in (network.stft, network.istft):
        if transform.normalized:
            transform.window *= (transform.n_fft / transform.window.square().sum()).sqrt()


def _read_weights(file: Path) -> Any:
    """Read a file of tensors and plain containers; any other content is refused and not run."""
    import torch
    from safetensors.torch import load_file

    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in many ways
        reason = " ".join(str(error).split())[:120]
        raise ValueError(f"{file}: expected a file of weights only, got another ({reason})") from error
