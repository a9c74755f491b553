"""The key of a result: everything that the result depends on. A stored result is reused only under the same key.

A key contains
- the system: its name, and the hash of its weights, settings and other files (`Source.digest`);
- our code that separates: the module that builds the system (for a checkpoint of ours the network, chunking,
  resampling and all else of `models` that separation uses) and `models.tracks`; and our code that scores:
  `benchmark.runs.measure`; each with every file of ours that it imports, directly or not. So a change of our network
  does not affect the results of Demucs, and a change of a table or of the report affects none;
- versions of the packages that these files import, and of the decoders of stem files;
- the track: name, split and every byte of its files;
- device, scorer and length of the frames.

`separation` is a hash of all of these on which the estimates depend. Kept estimates with the same one are only scored
again, see `rescore`.

The number of threads is not in the key: scores do not depend on it, and it is stored with the times. Machine, commit
and command are stored with a result, see `pair`, but are not in the key.
"""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmark.provenance.hashes import FileHashes
from benchmark.provenance.imports import made_of, version_of
from benchmark.provenance.weights import Source
from benchmark.runs.settings import Settings
from benchmark.runs.store import FORMAT
from benchmark.systems.catalog import LOADERS
from benchmark.systems.estimates import estimate_files
from models.running.hashes import names_and_hashes, sha256
from models.tracks import StemFileTrack, Track

MEASURE, TRACKS = "benchmark.runs.measure", "models.tracks"
NOT_DECIDING = frozenset({"huggingface_hub", "musdb", "museval", "tqdm", "yaml"})
"""Imported packages that do not affect scores. museval is added if it is the scorer, musdb if the track is a stem
file."""
WORDS = {
    "format": "results of another version of the benchmark",
    "digest": "the system's files",
    "code": "our code",
    "scoring": "our code that scores",
    "audio": "the track's audio",
    "split": "the track's split",
    "device": "--device",
    "scorer": "the scorer",
    "frame_s": "the length of frames",
}
"""The words for the user about a part of a key that differs."""


def made_by(source: Source, scorer: str) -> dict[str, Any]:
    """What a system's results depend on: hashes of our files, and versions of packages.

    Returns:
        `code`: a hash of our files that separate; `scoring`: of those that score; `packages`: {name: version} of both.
    """
    code, names = separated_by(source)
    scoring = scored_by(scorer)
    return {"code": code, "scoring": scoring["scoring"], "packages": _versions(names) | scoring["packages"]}


def separated_by(source: Source) -> tuple[str, set[str]]:
    """A hash of our files that separate, and the packages that they import."""
    return _hash_and_packages([LOADERS[source.loader].__module__, TRACKS])


def scored_by(scorer: str) -> dict[str, Any]:
    """The parts of a key for scoring alone: `scoring`, a hash of our files, and `packages`, {name: version}."""
    code, names = _hash_and_packages([MEASURE])
    return {"scoring": code, "packages": _versions(names | ({"museval"} if scorer == "museval" else set()))}


def _hash_and_packages(modules: list[str]) -> tuple[str, set[str]]:
    code = made_of(modules)
    files = names_and_hashes((place, sha256(path)) for place, path in code.files.items())
    return files, set(code.packages - NOT_DECIDING)


def _versions(names: set[str]) -> dict[str, str]:
    return {name: version_of(name) for name in sorted(names)}


def result_key(source: Source, track: Track, settings: Settings, hashes: FileHashes | None = None) -> dict[str, Any]:
    """The key of a result; a stored result is reused only if its key is equal.

    Args:
        source: the system.
        track: the track.
        settings: see Settings.
        hashes: known hashes of files.
    """
    hashes = hashes or FileHashes()
    made = made_by(source, settings.scorer)
    code, names = separated_by(source)
    decoders = _decoders() if isinstance(track, StemFileTrack) else {}
    of_track = [hashes.of(estimate_files(Path(source.location), track.name))] if source.loader == "estimates" else []
    separation = {
        "system": source.name,
        "digest": " ".join([source.digest, *of_track]),
        "track": track.name,
        "split": track.split,
        "audio": hashes.of(track.files),
        "device": settings.device,
        "code": code,
    }
    versions = json.dumps([separation, _versions(names) | decoders], sort_keys=True)
    return {
        "format": FORMAT,
        **separation,
        "scoring": made["scoring"],
        "packages": made["packages"] | decoders,
        "scorer": settings.scorer,
        "frame_s": settings.frame_s,
        "separation": hashlib.sha256(versions.encode()).hexdigest()[:16],
    }


def check_made_by(source: Source, key: Mapping[str, Any]) -> None:
    """Check that this process has the code and packages of a key that another process made.

    Raises:
        ValueError: they differ, because this is another machine of a cluster, or files changed since the run began.
    """
    here = made_by(source, key["scorer"])
    there = {name: key[name] for name in ("code", "scoring")}
    there["packages"] = {name: key["packages"].get(name) for name in here["packages"]}
    if here != there:
        changed = ", ".join(differences(there, here))
        raise ValueError(
            f"expected the code and packages that the run began with, got others: {changed}; start the run again"
        )


def differences(stored: Mapping[str, Any], key: Mapping[str, Any]) -> list[str]:
    """The differences between the key of a stored result and the wanted key, as words for the user."""
    if stored.get("format", key.get("format")) != key.get("format"):
        return [WORDS["format"]]
    found = [words for part, words in WORDS.items() if stored.get(part) != key.get(part)]
    before, now = (dict(each.get("packages") or {}) for each in (stored, key))
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return found + [f"{name} {before.get(name) or 'none'} to {now.get(name) or 'none'}" for name in names]


@lru_cache(maxsize=1)
def _decoders() -> dict[str, str]:
    """Versions of the programs and packages that decode stem files."""
    versions = {name: version_of(name) for name in ("musdb", "stempeg")}
    if program := shutil.which("ffmpeg"):
        words = subprocess.run([program, "-version"], capture_output=True, text=True).stdout.split()
        versions["ffmpeg"] = words[2] if len(words) > 2 else ""
    return versions
