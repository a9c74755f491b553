"""A preset: all settings of one model, its training and its separation."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from models.bsrnn import BSRNN, BSRNNConfig
from models.peers import (
    HDemucsConfig,
    HDemucsNetwork,
    MoisesLightConfig,
    MoisesLightNetwork,
    OpenUnmixConfig,
    OpenUnmixNetwork,
    SCNetConfig,
    SCNetNetwork,
)
from models.presets.settings import build, override, read_yaml
from models.presets.training import DataConfig, TrainConfig
from models.public.amanteur import AmanteurConfig, AmanteurNetworks
from models.public.crlandsc import CrlandscConfig, CrlandscNetworks
from models.public.magronp import MagronpConfig, MagronpNetworks
from models.signal.chunking import SeparateConfig
from models.tracks import check_stems

PRESET_FOLDER = Path(__file__).parent

ModelConfig = (
    BSRNNConfig
    | OpenUnmixConfig
    | HDemucsConfig
    | SCNetConfig
    | MoisesLightConfig
    | MagronpConfig
    | AmanteurConfig
    | CrlandscConfig
)

ARCHITECTURES: dict[str, tuple[type, type[nn.Module]]] = {
    "bsrnn": (BSRNNConfig, BSRNN),
    "openunmix": (OpenUnmixConfig, OpenUnmixNetwork),
    "hdemucs": (HDemucsConfig, HDemucsNetwork),
    "scnet": (SCNetConfig, SCNetNetwork),
    "moises_light": (MoisesLightConfig, MoisesLightNetwork),
    "magronp": (MagronpConfig, MagronpNetworks),
    "amanteur": (AmanteurConfig, AmanteurNetworks),
    "crlandsc": (CrlandscConfig, CrlandscNetworks),
}

RETIRED: dict[str, str | float] = {
    "model.band_rounding": "bins",
    "model.mask_layers": 1,
    "model.wiener_iterations": 1,
    "data.flip_sign": 0.0,
    "data.swap_channels": 0.0,
    "train.accumulate": 1,
}
"""Settings that were removed, each with the default that it had: a file that holds the default loads."""


@dataclass(frozen=True)
class Preset:
    """Settings of one model; each section's fields are the names on the command line (``model.hidden`` ...)."""

    architecture: str
    model: ModelConfig
    data: DataConfig
    train: TrainConfig
    separate: SeparateConfig

    def __post_init__(self) -> None:
        """Check the names of the stems, which become file names, and settings that do not fit the network.

        Raises:
            ValueError: a name cannot be used for a stem, or a causal network is to separate as those with chunks do.
        """
        check_stems(self.model.stems, "model.stems")
        if getattr(self.model, "causal", False) and (self.separate.shifts > 1 or self.separate.residual):
            raise ValueError(
                "separate.shifts, separate.residual: expected 1 and 0 with model.causal, which has no chunks, got "
                f"{self.separate.shifts} and {self.separate.residual:g}"
            )

    def build_network(self) -> nn.Module:
        """An untrained network: mixture [B, C, T] to ``Estimate``, with ``stems``, ``sample_rate`` and ``channels``."""
        return ARCHITECTURES[self.architecture][1](self.model)


def preset_from_mapping(values: Mapping[str, Any]) -> Preset:
    """Build a preset from a mapping, as stored in YAML files and checkpoints.

    Raises:
        ValueError: an unknown architecture or setting, a value out of range, or a removed setting that is not at its
            default.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"preset: expected a mapping of settings, got {values!r}")
    architecture = values.get("architecture")
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        raise ValueError(f"architecture: expected one of {', '.join(ARCHITECTURES)}, got {architecture!r}")
    sections = {"model": ARCHITECTURES[architecture][0], "data": DataConfig, "train": TrainConfig}
    sections["separate"] = SeparateConfig
    if unknown := sorted(set(values) - set(sections) - {"architecture"}):
        raise ValueError(f"unknown section {unknown[0]!r}; expected architecture, {', '.join(sections)}")
    built: dict[str, Any] = {}
    for name, kind in sections.items():
        built[name] = build(kind, _without_retired(values.get(name, {}), name), name)
    return Preset(architecture, **built)


def _without_retired(values: Any, section: str) -> Any:
    """A section's values without those of ``RETIRED``."""
    if not isinstance(values, Mapping):
        return values
    for name, value in values.items():
        setting = f"{section}.{name}"
        if setting in RETIRED and value != RETIRED[setting]:
            raise ValueError(
                f"{setting} was removed: expected its default {RETIRED[setting]!r} or no such line, got {value!r}"
            )
    return {name: value for name, value in values.items() if f"{section}.{name}" not in RETIRED}


def with_stems(preset: Preset, stems: Sequence[str]) -> Preset:
    """Copy a preset for other stems, in the data and in the model.

    Rendered sources that are not among the stems are removed.

    Raises:
        ValueError: no name, a name given twice, an empty one, or "mixture".
    """
    check_stems(stems, "stems")
    rendered = tuple(stem for stem in preset.data.rendered_stems if stem in stems)
    changes: dict[str, Any] = {"model.stems": tuple(stems), "data.sources": tuple(stems)}
    if rendered != preset.data.rendered_stems:
        changes["data.rendered_stems"] = rendered
        changes["data.rendered"] = preset.data.rendered if rendered else 0.0
    return override(preset, changes)


def preset_names() -> list[str]:
    """Names of the shipped presets."""
    return sorted(path.stem for path in PRESET_FOLDER.glob("*.yaml"))


def load_preset(name_or_path: str) -> Preset:
    """Load a shipped preset by its name, or a YAML file.

    Raises:
        ValueError: no such preset (the message gives the nearest name), or a setting is unknown or out of range.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = PRESET_FOLDER / f"{name_or_path}.yaml"
        if name_or_path not in preset_names():
            nearest = difflib.get_close_matches(name_or_path, preset_names(), n=1, cutoff=0.0)
            raise ValueError(f"no preset {name_or_path!r}; did you mean {nearest[0]!r}? (or give a .yaml file)")
    return preset_from_mapping(read_yaml(path))
