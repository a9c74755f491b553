"""The catalog of systems: it reads their names, finds their weights and loads them.

`resolve` finds the weights without loading them, so that a missing file is reported before anything is separated.
`load` builds the system in the process that runs it. Nothing is downloaded unless the user asks for it, and no system
runs with random weights. Third-party packages are imported only in the function that needs them.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmark.provenance.weights import BOUND_ROLE, Source
from benchmark.scoring.accompaniment import KNOWN_STEMS
from benchmark.systems.bounds import HOP, N_FFT, ORACLES, load_mixture, load_oracle
from benchmark.systems.checkpoint import CheckpointSystem, resolve_checkpoint
from benchmark.systems.demucs import load_demucs_folder, load_demucs_official, official_bags, resolve_demucs
from benchmark.systems.ensemble import is_ensemble, resolve_ensemble
from benchmark.systems.estimates import Estimates, resolve_estimates
from benchmark.systems.interface import System, TrackSystem
from benchmark.systems.mdxnet import MdxNetSystem, resolve_mdxnet
from benchmark.systems.msst import load_msst, resolve_msst
from benchmark.systems.openunmix import (
    OFFICIAL_FILES,
    load_openunmix_folder,
    load_openunmix_official,
    resolve_openunmix,
)
from benchmark.systems.python_object import PythonSystem, resolve_python
from benchmark.systems.spleeter import SpleeterSystem, resolve_spleeter

MIXTURE, ORACLE = "mixture", "oracle"
KINDS = (MIXTURE, "bsrnn", "demucs", "openunmix", "spleeter", "mdxnet", "msst", ORACLE)
DEFAULT_CHECKPOINTS = {"bsrnn": "small", "demucs": "hdemucs-small", "openunmix": "openunmix-small"}
BOUND = "irm"
"""The oracle that the name `oracle` means; it is in every table."""
LOADERS: Mapping[str, Callable[[str, str], Any]] = {
    MIXTURE: load_mixture,
    ORACLE: load_oracle,
    "checkpoint": CheckpointSystem,
    "demucs folder": load_demucs_folder,
    "demucs official": load_demucs_official,
    "openunmix folder": load_openunmix_folder,
    "openunmix official": load_openunmix_official,
    "spleeter": SpleeterSystem,
    "mdxnet": MdxNetSystem,
    "msst": load_msst,
    "estimates": Estimates,
    "python": PythonSystem,
    "object": PythonSystem,  # never called: a live object is its own system
}
"""Functions that build a system from a source's location and a device, by the source's loader. A result's key contains
the hash of the loader's module and of all that it imports, see `result_key`."""


def parse_systems(text: str, demucs: str | None = None, openunmix: str | None = None) -> list[str]:
    """Read `--systems`. The mixture comes first and the oracles last; the mixture and `oracle` are always added.

    Args:
        text: comma-separated names, each `kind` or `kind:variant`.
        demucs: variant for a bare `demucs`, else our checkpoint.
        openunmix: variant for a bare `openunmix`, else our checkpoint.

    Raises:
        ValueError: an unknown kind, an invalid variant, or a variant option without its system.
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
            raise ValueError(f"--{kind} {option}: expected {kind} in --systems, got none; add it, or leave it out")
    oracles = [ORACLE if mask == BOUND else f"{ORACLE}:{mask}" for mask in ORACLES]
    bounds = [name for name in oracles if name == ORACLE or name in names]
    return [MIXTURE, *(name for name in names if name not in (MIXTURE, *oracles)), *bounds]


def resolve(name: str, download: bool = False) -> Source:
    """Find a system's weights; nothing is loaded, and nothing downloaded unless `download`.

    The label names weights that were trained on the test set, or on music other than MUSDB18.

    Raises:
        FileNotFoundError: there are no weights; the message says how to get them.
        ValueError: the weights are ambiguous.
    """
    return _resolve(name, download).flagged()


def _resolve(name: str, download: bool) -> Source:
    kind, _, variant = name.partition(":")
    if kind == MIXTURE:
        note = "the mixture as estimate of every stem"
        return Source(name, "Mixture (lower bound)", MIXTURE, "", "", "mixture", note, role=BOUND_ROLE)
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
            role=BOUND_ROLE,
        )
    if kind == "spleeter":
        return resolve_spleeter(name, variant)
    if kind == "mdxnet":
        return resolve_mdxnet(name, variant, download)
    if kind == "bsrnn" and is_ensemble(variant):
        return resolve_ensemble(name, variant)
    if kind == "msst":
        return resolve_msst(name, variant)
    if kind == "demucs" and variant:
        found = resolve_demucs(name, variant, download)
    elif kind == "openunmix" and variant:
        found = resolve_openunmix(name, variant, download)
    else:
        found = None
    try:
        return found or resolve_checkpoint(name, kind, variant or DEFAULT_CHECKPOINTS[kind])
    except FileNotFoundError as error:
        official = list(official_bags() if kind == "demucs" else OFFICIAL_FILES if kind == "openunmix" else ())
        names = f"; official names, with --download: {', '.join(official)}" if official else ""
        raise FileNotFoundError(f"{error}{names}") from error


def resolve_all(
    names: Sequence[str], estimates: Sequence[str] = (), python: Sequence[str] = (), download: bool = False
) -> list[Source]:
    """Find all systems of a run: those of `parse_systems`, with the user's own before the oracles.

    Args:
        names: from `parse_systems`.
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
            raise ValueError(
                f"expected different names, got two systems named {source.name!r}; choose another NAME in --estimates "
                "NAME=DIR or --system NAME=package.module:factory"
            )
        taken.add(source.name)
    first_bound = next(index for index, source in enumerate(sources) if source.loader == ORACLE)
    return [*sources[:first_bound], *own, *sources[first_bound:]]


def load(source: Source, device: str = "cpu") -> System | TrackSystem:
    """Build the system of a source.

    Raises:
        ValueError: its files cannot be loaded, or it has none of the stems.
    """
    system = LOADERS[source.loader](source.location, device)
    if not set(KNOWN_STEMS) & set(system.stems):
        known = ", ".join(KNOWN_STEMS)
        raise ValueError(f"{source.label}: expected stems out of {known}, got {', '.join(system.stems)}")
    return system
