"""The key of a result: everything that the result depends on. A stored result is reused only under the same key.

A key contains
- the system: its name, and the hash of its weights, settings and other files (`Source.digest`);
- our code that separates and scores: `benchmark.runs.measure` (reads tracks and scores) and the module that builds the
  system (for a checkpoint of ours the network, chunking, resampling and all else of `models` that separation uses),
  each with every file of ours that it imports, directly or not. So a change of our network does not affect the results
  of Demucs, and a change of a table or of the report affects none;
- versions of the packages that these files import, and of the decoders of stem files;
- the track: name, split and every byte of its files;
- device and scorer;
- for a degraded mixture the degradation, its code and the codec's version.

The number of threads is not in the key: scores do not depend on it, and it is stored with the times. Machine, commit
and command are stored with a result, see `pair`, but are not in the key.
"""

import shutil
import subprocess
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmark.degradations.degradation import CODECS
from benchmark.degradations.track import DegradedTrack
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
"""Imported packages that do not affect scores. museval is added if it is the scorer, musdb if the track is a stem
file."""
WORDS = {
    "format": "results of another version of the benchmark",
    "digest": "the system's files",
    "code": "our code",
    "audio": "the track's audio",
    "split": "the track's split",
    "device": "--device",
    "scorer": "the scorer",
    "degradation": "the degradation",
}
"""The words for the user about a part of a key that differs."""


def made_by(source: Source, scorer: str) -> dict[str, Any]:
    """`code`, a hash of our files that a system's results depend on, and `packages`, {name: version}."""
    code = made_of([MEASURE, LOADERS[source.loader].__module__])
    files = names_and_hashes((place, sha256(path)) for place, path in code.files.items())
    packages = code.packages - NOT_DECIDING | ({"museval"} if scorer == "museval" else set())
    return {"code": files, "packages": {name: version_of(name) for name in sorted(packages)}}


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
    original = track.original if isinstance(track, DegradedTrack) else track
    if isinstance(original, StemFileTrack):
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
        **({"degradation": _degradation_key(track)} if isinstance(track, DegradedTrack) else {}),
        **made,
    }


def _degradation_key(track: DegradedTrack) -> dict[str, str]:
    """What a degraded mixture depends on besides the track, and the split that the track is from."""
    code = made_of([DegradedTrack.__module__])
    files = names_and_hashes((place, sha256(path)) for place, path in code.files.items())
    ffmpeg = {"ffmpeg": _decoders().get("ffmpeg", "")} if track.degradation.kind in CODECS else {}
    return {"name": track.degradation.name, "split": track.original.split, "code": files, **ffmpeg}


def check_made_by(source: Source, key: Mapping[str, Any]) -> None:
    """Check that this process has the code and packages of a key that another process made.

    Raises:
        ValueError: they differ, because this is another machine of a cluster, or files changed since the run began.
    """
    here = made_by(source, key["scorer"])
    there = {"code": key["code"], "packages": {name: key["packages"].get(name) for name in here["packages"]}}
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
