"""What makes a result: while all of it is the same a stored result is reused, and else it is measured again.

Part of a key are
- the system: its name, and the hash of its weights, settings and other files (`Source.digest`);
- our code that separates and scores: `benchmark.runs.measure` (reads tracks and scores) and the module that builds the
  system (for a checkpoint of ours the network, chunking, resampling and all else of `models` that separation uses),
  each with every file of ours that it imports at any depth. A change of our network thus leaves the results of
  Demucs, and a change of a table or of the report leaves all of them;
- versions of the packages that these files import, and of what decodes stem files;
- the track: name, split and every byte of its files;
- device and scorer.

Threads are no part of it: scores do not depend on them, and times say with how many they were measured. Machine,
commit and command are stored with a result, see `pair`, but no part of it either.
"""

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

MEASURE = "benchmark.runs.measure"
NOT_DECIDING = frozenset({"huggingface_hub", "musdb", "museval", "tqdm", "yaml"})
"""Imported packages that decide no score; museval does where it is the scorer, musdb where a track is a stem file."""
WORDS = {
    "format": "results of another version of the benchmark",
    "digest": "the system's files",
    "code": "our code",
    "audio": "the track's audio",
    "split": "the track's split",
    "device": "--device",
    "scorer": "the scorer",
}
"""What the user is told of a part of a key that differs."""


def made_by(source: Source, scorer: str) -> dict[str, Any]:
    """`code`, a hash of our files that decide a system's results, and `packages`, {name: version}."""
    code = made_of([MEASURE, LOADERS[source.loader].__module__])
    files = names_and_hashes((place, sha256(path)) for place, path in code.files.items())
    packages = code.packages - NOT_DECIDING | ({"museval"} if scorer == "museval" else set())
    return {"code": files, "packages": {name: version_of(name) for name in sorted(packages)}}


def result_key(source: Source, track: Track, settings: Settings, hashes: FileHashes | None = None) -> dict[str, Any]:
    """Everything that must agree before a stored result is reused.

    Args:
        source: the system.
        track: the track.
        settings: see Settings.
        hashes: of files that were read before.
    """
    hashes = hashes or FileHashes()
    made = made_by(source, settings.scorer)
    if isinstance(track, StemFileTrack):
        made["packages"] |= _decoders()
    of_track = [hashes.of(estimate_files(Path(source.location), track.name))] if source.loader == "estimates" else []
    return {
        "format": FORMAT,
        "system": source.name,
        "digest": " ".join([source.digest, *of_track]),
        "track": track.name,
        "split": track.split,
        "audio": hashes.of(track.files),
        "device": settings.device,
        "scorer": settings.scorer,
        **made,
    }


def check_made_by(source: Source, key: Mapping[str, Any]) -> None:
    """Make sure that this process runs the code and packages of a key that was made elsewhere.

    Raises:
        ValueError: they differ: another machine of a cluster, or files changed since the run began.
    """
    here = made_by(source, key["scorer"])
    there = {"code": key["code"], "packages": {name: key["packages"].get(name) for name in here["packages"]}}
    if here != there:
        changed = ", ".join(differences(there, here))
        raise ValueError(f"this process has other code or packages than the run began with: {changed}; run it again")


def differences(stored: Mapping[str, Any], key: Mapping[str, Any]) -> list[str]:
    """What differs between the key of a stored result and the one that is asked for, in words."""
    if stored.get("format", key.get("format")) != key.get("format"):
        return [WORDS["format"]]
    found = [words for part, words in WORDS.items() if stored.get(part) != key.get(part)]
    before, now = (dict(each.get("packages") or {}) for each in (stored, key))
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return found + [f"{name} {before.get(name) or 'none'} to {now.get(name) or 'none'}" for name in names]


@lru_cache(maxsize=1)
def _decoders() -> dict[str, str]:
    """Versions of what decodes stem files."""
    versions = {name: version_of(name) for name in ("musdb", "stempeg")}
    if program := shutil.which("ffmpeg"):
        said = subprocess.run([program, "-version"], capture_output=True, text=True).stdout.split()
        versions["ffmpeg"] = said[2] if len(said) > 2 else ""
    return versions
