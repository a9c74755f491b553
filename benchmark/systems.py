"""The systems that can be compared: where the weights of each lie, and one small adapter for each kind.

`resolve` finds the weights without loading them, so that a missing file is reported before anything is separated;
`load` builds the system in the process that will run it. Nothing is downloaded unless the user asks for it, and no
system ever runs with random weights. Third-party packages are imported only by the function that needs them.
"""

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.adapter import System, TrackSystem, count_parameters
from benchmark.demucs_system import load_demucs_folder, load_demucs_official, official_bags, resolve_demucs
from benchmark.estimates import KNOWN_STEMS, Estimates, resolve_estimates
from benchmark.mdxnet_system import MdxNetSystem, resolve_mdxnet
from benchmark.openunmix_system import (
    OFFICIAL_FILES,
    load_openunmix_folder,
    load_openunmix_official,
    resolve_openunmix,
)
from benchmark.oracle import HOP, N_FFT, ORACLES
from benchmark.python_system import PythonSystem, resolve_python
from benchmark.source import EXTRA_DATA_FLAG, TEST_SET_FLAG, TEST_SET_NOTE, UNKNOWN_DATA_FLAG, Source, file_hash
from benchmark.spleeter_system import SpleeterSystem, resolve_spleeter

MIXTURE, ORACLE = "mixture", "oracle"
KINDS = (MIXTURE, "bsrnn", "demucs", "openunmix", "spleeter", "mdxnet", ORACLE)
DEFAULT_CHECKPOINTS = {"bsrnn": "small", "demucs": "hdemucs-small", "openunmix": "openunmix-small"}
BOUND = "irm"
"""The oracle that `oracle` stands for, which is in every table."""
LABELS = {"bsrnn": "BSRNN", "demucs": "Demucs", "openunmix": "Open-Unmix"}


def parse_systems(text: str, demucs: str | None = None, openunmix: str | None = None) -> list[str]:
    """Read `--systems`: the mixture first and the oracles last, which bound the table and are always there.

    Args:
        text: comma-separated names, each `kind` or `kind:variant`.
        demucs: variant for a bare `demucs`, else our checkpoint.
        openunmix: variant for a bare `openunmix`, else our checkpoint.

    Raises:
        ValueError: an unknown kind, a variant where there is none, or a variant option without its system.
    """
    names: list[str] = []
    variants = {"demucs": demucs, "openunmix": openunmix}
    for name in (part.strip() for part in text.split(",")):
        kind, colon, variant = name.partition(":")
        if kind not in KINDS:
            near = difflib.get_close_matches(kind.lower(), KINDS, n=1, cutoff=0.4)
            hint = f" (nearest: {near[0]})" if near else ""
            raise ValueError(f"--systems: expected some of {', '.join(KINDS)}, got {name!r}{hint}")
        if colon and (kind == MIXTURE or not variant):
            raise ValueError(
                f"--systems: expected {kind} {'alone' if variant else 'or ' + kind + ':NAME'}, got {name!r}"
            )
        if kind == ORACLE and variant and variant not in ORACLES:
            raise ValueError(f"--systems: expected oracle:NAME with one of {', '.join(ORACLES)}, got {name!r}")
        name = ORACLE if name == f"{ORACLE}:{BOUND}" else name
        if not variant and variants.get(kind):
            name = f"{kind}:{variants[kind]}"
        if name not in names:
            names.append(name)
    for kind, option in variants.items():
        if option and f"{kind}:{option}" not in names:
            raise ValueError(f"--{kind} {option}: --systems has no {kind} that it could apply to")
    oracles = [ORACLE if mask == BOUND else f"{ORACLE}:{mask}" for mask in ORACLES]
    bounds = [name for name in oracles if name == ORACLE or name in names]
    return [MIXTURE, *(name for name in names if name not in (MIXTURE, *oracles)), *bounds]


def resolve(name: str, download: bool = False) -> Source:
    """Find a system's weights; nothing is loaded, and nothing downloaded unless `download`.

    Weights that are known to have seen the test set, or other music than MUSDB18, say so in their label.

    Raises:
        FileNotFoundError: there are no weights; the message says what would provide them.
        ValueError: the weights are ambiguous.
    """
    return _resolve(name, download).flagged()


def _resolve(name: str, download: bool) -> Source:
    kind, _, variant = name.partition(":")
    if kind == MIXTURE:
        return Source(
            name, "Mixture (lower bound)", MIXTURE, "", "", "mixture", "the mixture as estimate of every stem"
        )
    if kind == ORACLE:
        mask = variant or BOUND
        settings = f"n_fft {N_FFT}, hop {HOP}"
        return Source(
            name,
            f"{ORACLES[mask][0]} (upper bound)",
            ORACLE,
            mask,
            "",
            f"{mask}, {settings}",
            f"oracle: made of the true stems, {settings}",
        )
    if kind == "spleeter":
        return resolve_spleeter(name, variant)
    if kind == "mdxnet":
        return resolve_mdxnet(name, variant, download)
    if kind == "demucs" and variant:
        found = resolve_demucs(name, variant, download)
    elif kind == "openunmix" and variant:
        found = resolve_openunmix(name, variant, download)
    else:
        found = None
    return found or _resolve_checkpoint(name, kind, variant or DEFAULT_CHECKPOINTS[kind])


def resolve_all(
    names: Sequence[str], estimates: Sequence[str] = (), python: Sequence[str] = (), download: bool = False
) -> list[Source]:
    """Find all systems of a run: those of `parse_systems`, the user's own before the oracles.

    Args:
        names: what `parse_systems` returned.
        estimates: `NAME=DIR` each.
        python: `package.module:factory` each.
        download: see `resolve`.

    Raises:
        ValueError, FileNotFoundError: see `resolve`, `resolve_estimates` and `resolve_python`; or two have one name.
    """
    sources = [resolve(name, download) for name in names]
    own = [*map(resolve_estimates, estimates), *map(resolve_python, python)]
    taken = {*KINDS, *names}
    for source in own:
        if source.name in taken:
            raise ValueError(f"{source.name!r} is the name of two systems: choose another NAME in --estimates NAME=DIR")
        taken.add(source.name)
    first_bound = next(index for index, source in enumerate(sources) if source.loader == ORACLE)
    return [*sources[:first_bound], *own, *sources[first_bound:]]


def load(source: Source, device: str = "cpu") -> System | TrackSystem:
    """Build the system of a source.

    Raises:
        ValueError: its files cannot be loaded, or it has none of the stems.
    """
    loaders: Mapping[str, Callable[[str, str], Any]] = {
        MIXTURE: lambda location, device: Mixture(),
        ORACLE: lambda location, device: ORACLES[location][1](),
        "checkpoint": CheckpointSystem,
        "demucs folder": load_demucs_folder,
        "demucs official": load_demucs_official,
        "openunmix folder": load_openunmix_folder,
        "openunmix official": load_openunmix_official,
        "spleeter": SpleeterSystem,
        "mdxnet": MdxNetSystem,
        "estimates": Estimates,
        "python": PythonSystem,
    }
    system = loaders[source.loader](source.location, device)
    if not set(KNOWN_STEMS) & set(system.stems):
        known = ", ".join(KNOWN_STEMS)
        raise ValueError(f"{source.label} separates {', '.join(system.stems)}: expected some of {known}")
    return system


class Mixture:
    """The mixture as the estimate of every stem: what doing nothing scores."""

    stems = KNOWN_STEMS
    sample_rate = None
    parameters = 0

    def separate(self, mixture: np.ndarray, sample_rate: int | None = None) -> dict[str, np.ndarray]:
        """Return the mixture for every stem."""
        return dict.fromkeys(self.stems, mixture)


def _resolve_checkpoint(name: str, kind: str, checkpoint: str) -> Source:
    from models.checkpoint import find_checkpoint

    try:
        folder = find_checkpoint(checkpoint)
    except FileNotFoundError as error:
        official = {"demucs": list(official_bags()), "openunmix": list(OFFICIAL_FILES)}.get(kind)
        names = f"; official names, with --download: {', '.join(official)}" if official else ""
        raise FileNotFoundError(f"{name} has no weights: {error}{names}") from error
    weights = sorted(folder.glob("*.safetensors"))
    info = _info(folder)
    minutes = _processor_minutes(info)
    budget = f", {minutes:.0f} processor min" if minutes else ""
    origin = f"imported, {info['imported_from']}" if isinstance(info.get("imported_from"), str) else "ours"
    note, flag = _training_note(info)
    return Source(
        name,
        f"{LABELS[kind]} ({folder.name}, {origin}{budget})",
        "checkpoint",
        str(folder),
        f"{folder.resolve().name}@{file_hash(weights)}",
        file_hash([*weights, *sorted(folder.glob("*.json"))]),
        note,
        flag=flag,
    )


def _info(folder: Path) -> Mapping[str, Any]:
    """What a checkpoint says of its training; nothing if it cannot be read: whoever loads it says what is wrong."""
    try:
        info = json.loads((folder / "config.json").read_text(encoding="utf-8"))["info"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return info if isinstance(info, dict) else {}


def _processor_minutes(info: Mapping[str, Any]) -> float:
    """How long a checkpoint says that it was trained, all its runs together; 0 if it does not."""
    try:
        return float(info.get("cpu_minutes_in_all") or info.get("cpu_minutes") or 0)
    except (ValueError, TypeError):
        return 0.0


def _training_note(info: Mapping[str, Any]) -> tuple[str, str]:
    """Note and flag of a checkpoint: its card's music, the test split, other than MUSDB18's, or unknown."""
    text = info.get("training_data")
    if not isinstance(text, str):
        return "", ""
    note = f"trained on {text}"
    if re.search(r"\btest\b", text):
        return f"{TEST_SET_NOTE}; {note}", TEST_SET_FLAG
    names = text.rpartition(" from ")[2].split(", ")
    if names == ["unknown"]:
        return note, UNKNOWN_DATA_FLAG
    return note, "" if all(name.lower().startswith("musdb18") for name in names) else EXTRA_DATA_FLAG


class CheckpointSystem:
    """One of our checkpoints, through `models.load_separator`.

    Attributes:
        stems, sample_rate, parameters: see System.
    """

    def __init__(self, folder: str, device: str) -> None:
        from models.separator import load_separator

        self._folder = folder
        self._separator = load_separator(folder, device=device)
        self.stems, self.sample_rate = self._separator.stems, self._separator.sample_rate
        self.parameters = count_parameters(self._separator.network)

    def separate(self, mixture: np.ndarray, sample_rate: int | None = None) -> dict[str, np.ndarray]:
        """See System."""
        return self._separator.separate(mixture, sample_rate)

    def gmacs_per_second(self) -> float:
        """See Counted."""
        from models.checkpoint import find_checkpoint, load_checkpoint
        from models.macs import gmacs_per_second

        return gmacs_per_second(load_checkpoint(find_checkpoint(self._folder)).preset, overlapped=True)
