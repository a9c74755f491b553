"""Stores whole estimates beside a run's results, so that they can be scored again without separating again.

The files are `DIR/estimates/<system>/<split>/<track>/<stem>.flac` of 24 bits. A stem is divided by a power of two that
brings its peak below 1, so nothing clips and quiet stems keep their precision; reading multiplies it again. The errors
are 150 dB below the peak. `estimates.json` names the files; it is written last, so they are complete when it exists.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.runs.store import safe_name
from models.running import atomic
from models.tracks import STEMS, Track

ABOUT = "estimates.json"
FULL_SCALE = 1 << 23
TYPICAL_SHARE = 0.75
"""Size of a 24-bit FLAC file over that of its samples, at most, for music."""
CHANNELS, SAMPLE_BYTES = 2, 3


def estimates_folder(out: Path, key: Mapping[str, Any]) -> Path:
    """The folder of a system's estimates of a track."""
    return out / "estimates" / safe_name(key["system"]) / key["split"] / safe_name(key["track"])


def write_estimates(
    out: Path, key: Mapping[str, Any], sample_rate: int, estimates: Mapping[str, np.ndarray]
) -> dict[str, dict[str, Any]]:
    """Write the files of a track; equal stems share one. If one cannot be written, none is left.

    Args:
        out: the run's folder.
        key: of the result.
        sample_rate: in Hz.
        estimates: {stem: [C, T]}.

    Returns:
        {stem: its file's name and the exponent of its gain}, for `write_about`.

    Raises:
        OSError: a file cannot be written, for example because the disk is full.
    """
    folder = estimates_folder(out, key)
    shutil.rmtree(folder, ignore_errors=True)
    files: dict[str, dict[str, Any]] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stem, audio in estimates.items():
            same = next((other for other in files if np.array_equal(estimates[other], audio)), None)
            files[stem] = dict(files[same]) if same else _write(folder / f"{safe_name(stem)}.flac", sample_rate, audio)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return files


def _write(path: Path, sample_rate: int, audio: np.ndarray) -> dict[str, Any]:
    import soundfile

    exponent = int(np.frexp(np.abs(audio).max(initial=0))[1])
    samples = np.round(np.ldexp(audio.astype(np.float64), -exponent) * FULL_SCALE)
    samples = np.clip(samples, -FULL_SCALE, FULL_SCALE - 1).astype(np.int32) << 8
    try:
        with atomic.replacing(path) as part:
            soundfile.write(part, samples.T, sample_rate, format="FLAC", subtype="PCM_24")
    except soundfile.LibsndfileError as error:  # as a full disk is reported
        raise OSError(f"{path} cannot be written ({error})") from error
    return {"file": path.name, "exponent": exponent}


def write_about(out: Path, key: Mapping[str, Any], files: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Complete a track's estimates: which separation they are of, and its result without scores.

    Raises:
        OSError: it cannot be written.
    """
    rest = {name: part for name, part in result.items() if name not in ("scores", "score_s")}
    about = {"separation": key["separation"], "files": files, "result": rest}
    atomic.write_json(estimates_folder(out, key) / ABOUT, about, ensure_ascii=False)


def read_about(out: Path, key: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `write_about` wrote; None if no complete estimates of the key's separation are stored."""
    folder = estimates_folder(out, key)
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        same = about["separation"] == key["separation"] and "key" in about["result"]
        complete = all((folder / file["file"]).is_file() for file in about["files"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return about if same and complete else None


def read_estimates(out: Path, about: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The estimates {stem: [C, T]} that `read_about` found.

    Raises:
        ValueError: a file is damaged.
    """
    import soundfile

    folder = estimates_folder(out, about["result"]["key"])
    estimates = {}
    for stem, file in about["files"].items():
        path = folder / file["file"]
        try:
            samples, _ = soundfile.read(path, dtype="int32", always_2d=True)
        except soundfile.SoundFileError as error:
            raise ValueError(f"{path} is damaged ({error}); delete its folder and run the benchmark again") from error
        scaled = np.ldexp((samples.T >> 8).astype(np.float32) / np.float32(FULL_SCALE), file["exponent"])
        estimates[stem] = np.ascontiguousarray(scaled, np.float32)
    return estimates


def expected_bytes(pairs: Iterable[tuple[str, Track]]) -> int:
    """About how much the estimates of these systems and tracks need: of the mixture one file, of others four stems."""
    stems = ((1 if system == "mixture" else len(STEMS), track) for system, track in pairs)
    return round(TYPICAL_SHARE * sum(count * track.num_frames * CHANNELS * SAMPLE_BYTES for count, track in stems))


def check_disk(out: Path, needed: int) -> str:
    """A line for the user: how much the estimates need, and how much is free.

    Raises:
        ValueError: the disk has less.
    """
    out.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(out).free
    words = f"about {needed / 1e9:.2f} GB for estimates in {out / 'estimates'}, {free / 1e9:.1f} GB are free"
    if needed > free:
        raise ValueError(f"--keep-estimates flac: expected enough free space, got {words}; choose another --out")
    return words
