"""Reads a config.yaml of Music-Source-Separation-Training (MSST) as untrusted input: the settings for separation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmark.scoring.accompaniment import ACCOMPANIMENT
from models.tracks import STEMS, check_stems

LABELS = {
    "bs_roformer": "BS-RoFormer",
    "bs_conformer": "BS-Conformer",
    "mel_band_roformer": "Mel-Band RoFormer",
    "mel_band_conformer": "Mel-Band Conformer",
    "scnet": "SCNet",
    "mdx23c": "MDX23C",
    "bandit": "BandIt",
    "bandit_v2": "BandIt v2",
}
"""The supported architectures: pymss-core's name, and the name in tables."""
LOOKED_UP = {
    "window_fn": ("hann_window", "hamming_window", "blackman_window", "bartlett_window", "kaiser_window"),
    "hidden_activation": ("ELU", "GELU", "LeakyReLU", "PReLU", "ReLU", "SELU", "SiLU", "Sigmoid", "Tanh"),
    "rnn_type": ("GRU", "LSTM", "RNN"),
}
"""Allowed values of settings that pymss-core looks up in torch and calls: `window_fn: load` would unpickle a file."""
LARGEST_FILE = 1 << 20
"""Largest size of a config.yaml, bytes."""
LONGEST_CHUNK_S, MOST_OVERLAP, LARGEST_BATCH = 600, 64, 1024


class _Loader(yaml.SafeLoader):
    """Reads plain values, and the one Python tag that these files use; other tags are refused."""


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", yaml.SafeLoader.construct_yaml_seq)


@dataclass(frozen=True)
class MsstConfig:
    """The settings of a config.yaml that separation needs."""

    kind: str
    """One of LABELS."""
    values: Mapping[str, Any]
    """The whole file, as plain values."""
    stems: tuple[str, ...]
    """S outputs of the network, in order, lower-case."""
    scored: Mapping[str, tuple[str, ...]]
    """{the benchmark's name: outputs that are summed}, see `scored_stems`."""
    chunk_samples: int
    """Length of a chunk, samples."""
    num_overlap: int
    """Number of chunks that cover each sample: they begin chunk_samples / num_overlap apart."""
    batch: int
    """Chunks in a batch."""
    sample_rate: int
    """Hz."""
    channels: int
    """C, channels of the network's input."""
    normalize: bool
    """Whether a mixture is normalised to mean 0 and standard deviation 1 before separation."""


def read_yaml(file: Path) -> Any:
    """Read a YAML file of plain values; tuples become lists.

    Raises:
        ValueError: it is too long, not YAML, or has another tag.
    """
    if file.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{file}: expected a configuration of up to {LARGEST_FILE >> 20} MiB, got a larger file")
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)  # a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(
            f"{file}: expected YAML of plain values, got another file ({' '.join(str(error).split())[:200]})"
        ) from error


def read_config(file: Path) -> MsstConfig:
    """Read a config.yaml.

    Raises:
        ValueError: the architecture is not supported, a setting is missing or out of range, or the network has none of
            the scored stems.
    """
    from pymss_core import ModelTypeDetectionError, detect_model_type

    values = read_yaml(file)
    try:
        kind = detect_model_type(values)
    except ModelTypeDetectionError as error:
        raise ValueError(
            f"{file}: {str(error).partition(' Set model_type')[0]} Supported are {', '.join(LABELS)}:"
            " if it is one, write model_type: NAME into the file."
        ) from error
    if kind not in LABELS:
        raise ValueError(f"{file}: expected one of {', '.join(LABELS)}, got {kind}")
    audio, training, inference = (_section(file, values, name) for name in ("audio", "training", "inference"))
    network = _section(file, values, "kwargs" if kind == "bandit_v2" else "model")
    for setting, names in LOOKED_UP.items():
        if network.get(setting, names[0]) not in names:
            raise ValueError(f"{file}: {setting}: expected one of {', '.join(names)}, got {network[setting]!r}")
    sample_rate = _whole(file, audio, "audio.sample_rate", 768_000, 44_100)
    chunks = ("inference", inference) if "chunk_size" in inference else ("audio", audio)
    instruments, stems = _stems(file, training)
    scored = scored_stems(instruments, stems)
    if not scored:
        expected = ", ".join((*STEMS, ACCOMPANIMENT))
        raise ValueError(f"{file}: expected a network of some of {expected}, got one of {', '.join(stems)}")
    return MsstConfig(
        kind,
        values,
        stems,
        scored,
        _whole(file, chunks[1], f"{chunks[0]}.chunk_size", LONGEST_CHUNK_S * sample_rate),
        _whole(file, inference, "inference.num_overlap", MOST_OVERLAP),
        _whole(file, inference, "inference.batch_size", LARGEST_BATCH, 1),
        sample_rate,
        _whole(file, audio, "audio.num_channels", 2, 2),
        inference.get("normalize") is True,
    )


def scored_stems(instruments: Sequence[str], stems: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The outputs to score: {the benchmark's name: outputs that are summed}.

    `instrumental` is the accompaniment. With two instruments, `other` is the mixture without the first one: the
    accompaniment if the first one is vocals, else it is not scored. Outputs besides the four stems (guitar, piano)
    count as other; they are left out if one of the four stems is missing.

    Args:
        instruments: all instruments of the training data, lower-case.
        stems: the network's outputs: all instruments, or one of them.
    """
    names = {stem: stem for stem in STEMS} | {"instrumental": ACCOMPANIMENT, ACCOMPANIMENT: ACCOMPANIMENT}
    if len(instruments) == 2 and "other" in instruments:
        names["other"] = ACCOMPANIMENT if "vocals" in instruments else ""
    outputs = {names[stem]: stem for stem in stems if names.get(stem)}
    scored: dict[str, tuple[str, ...]] = {name: (outputs[name],) for name in (*STEMS, ACCOMPANIMENT) if name in outputs}
    if set(STEMS) <= set(stems):
        scored["other"] += tuple(stem for stem in stems if stem not in names)
    return scored


def _section(file: Path, values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = values.get(name)
    if not isinstance(section, dict):
        raise ValueError(f"{file}: expected a section {name}:, got {section!r:.50}")
    return section


def _whole(file: Path, section: Mapping[str, Any], name: str, largest: int, default: int | None = None) -> int:
    value = section.get(name.partition(".")[2], default)
    if type(value) is not int or not 1 <= value <= largest:
        raise ValueError(f"{file}: {name}: expected a whole number from 1 to {largest}, got {value!r:.50}")
    return value


def _stems(file: Path, training: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The instruments of the training data, and the network's outputs."""
    instruments, target = training.get("instruments"), training.get("target_instrument")
    lower = _names(file, "training.instruments", instruments)
    return lower, lower if target is None else _names(file, "training.target_instrument", [target])


def _names(file: Path, setting: str, names: Any) -> tuple[str, ...]:
    """Names of stems, lower-case."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{file}: {setting}: expected names of stems, got {names!r:.50}")
    lower = tuple(name.lower() for name in names)
    check_stems(lower, f"{file}: {setting}")
    return lower
