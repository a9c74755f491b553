"""The grader, here: each track in a process tree of its own, within the grader's limits, scored as the grader scores.

A result is one json file for each track, written whole or not at all; the same command run again takes up those that
did not fail. Only results of the same submission, track and machine are taken up.
"""

import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.checkpoint import write_atomically
from models.metrics import global_sdr
from models.tracks import Track
from submission.challenge import INSTRUMENTS, MEMORY_BYTES, NUM_CPUS, TIME_FACTOR
from submission.isolation import Outcome, Stage, network_barrier, run_child
from submission.package import build, is_source

FORMAT = 1
"""Raised when results of an older version must not be taken up."""
START_LIMIT_S = 300.0
"""The class must be built within this; the grader's own limit is not known."""


@dataclass(frozen=True)
class Result:
    """What came of a track.

    Attributes:
        track: its name.
        duration_s: its length.
        limit_s: the time allowed.
        start_s: time to load the class; not part of the limit.
        took_s: time to read, separate and write; None if it was not done.
        processor_s: processor time of that.
        peak_bytes: the largest memory seen, None where the system does not tell.
        sdr: global SDR of each instrument, dB; empty if it failed.
        reduced: seconds of audio that the predictor itself reports as separated less well, by how.
        failure: why the grader would fail it, else "".
        log: the end of what it wrote to stdout and stderr, if it failed.
    """

    track: str
    duration_s: float
    limit_s: float
    start_s: float | None
    took_s: float | None
    processor_s: float | None
    peak_bytes: int | None
    sdr: dict[str, float]
    reduced: dict[str, float]
    failure: str
    log: str

    @property
    def song_sdr(self) -> float:
        """Mean over the instruments, dB."""
        return float(np.mean(list(self.sdr.values())))


@dataclass(frozen=True)
class Grader:
    """The limits that tracks run under.

    Attributes:
        time_factor: allowed time over the track's duration.
        start_limit_s: allowed time for building the class.
        memory_bytes: allowed memory of the process tree.
        num_cpus: processors that the tree may use.
    """

    time_factor: float = TIME_FACTOR
    start_limit_s: float = START_LIMIT_S
    memory_bytes: int = MEMORY_BYTES
    num_cpus: int = NUM_CPUS


def evaluate(
    submission: Path,
    tracks: Sequence[Track],
    out: Path,
    grader: Grader | None = None,
    tell: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Run and score a submission on tracks, except where the result is already there.

    Args:
        submission: a package or another checkout of the kit; or a Bandsplit repository, which is packaged first.
        tracks: the tracks, with all four instruments.
        out: folder of the results.
        grader: the limits; the challenge's by default.
        tell: called with each result as soon as it is there.

    Raises:
        FileNotFoundError: `submission` is neither.
        ValueError: a track cannot be read.
    """
    grader = grader or Grader()
    (out / "tracks").mkdir(parents=True, exist_ok=True)
    scratch = out / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)  # what a killed run left
    scratch.mkdir()
    results = []
    with prepared(submission, scratch) as root:
        identity = {"submission": folder_hash(root), "host": platform.node(), "cpus": os.cpu_count()}
        keys = [{"format": FORMAT, **identity, "audio": track.fingerprint(), **asdict(grader)} for track in tracks]
        paths = [_result_path(out, track) for track in tracks]
        kept = [_read(path, key) for path, key in zip(paths, keys, strict=True)]
        if num_kept := sum(result is not None for result in kept):
            print(f"{num_kept} of {len(kept)} results are already in {out}", file=sys.stderr)
        for track, key, path, result in zip(tracks, keys, paths, kept, strict=True):
            if result is None:
                result = run_track(root, track, grader, scratch)
                _write(path, key, result)
            results.append(result)
            tell(result)
    scratch.rmdir()
    return results


@contextmanager
def prepared(submission: Path, scratch: Path) -> Iterator[Path]:
    """The root of a submission; for a Bandsplit repository, that of its package, which is deleted afterwards.

    Args:
        submission: a Bandsplit repository, or a checkout in the kit's layout.
        scratch: where to build a package.

    Raises:
        FileNotFoundError: there is no `my_submission/user_config.py`.
    """
    if is_source(submission):
        with tempfile.TemporaryDirectory(prefix="submission-", dir=scratch) as folder:
            build(submission, Path(folder))
            yield Path(folder).resolve()
    elif (submission / "my_submission/user_config.py").is_file():
        yield submission.resolve()
    else:
        raise FileNotFoundError(
            f"{submission}: no submission here: expected my_submission/user_config.py, or a Bandsplit repository"
        )


def folder_hash(root: Path) -> str:
    """Short hash of the names and contents of a submission's files; git's own and caches are left out."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and not {".git", "__pycache__", "evaluator_outputs", "public_dataset"} & set(parts):
            digest.update(f"{path.relative_to(root)} {path.stat().st_size} ".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def run_track(root: Path, track: Track, grader: Grader, scratch: Path) -> Result:
    """Separate one track in a process tree of its own, and score it; its files lie in `scratch` meanwhile.

    Raises:
        ValueError: the track cannot be read.
    """
    import soundfile

    mixture = track.read_mixture()
    duration_s = mixture.shape[-1] / track.sample_rate
    limit_s = grader.time_factor * duration_s
    with tempfile.TemporaryDirectory(prefix="track-", dir=scratch) as folder:
        dataset, shared, home = (Path(folder).resolve() / part for part in ("dataset", "shared", "home"))
        name = "track"  # whatever the track is called: it is the name of a folder
        (dataset / name).mkdir(parents=True)
        (shared / "predictions").mkdir(parents=True)
        home.mkdir()
        file = dataset / name / "mixture.wav"
        try:  # float, so that the submission hears exactly what the benchmark's systems hear
            soundfile.write(file, mixture.T, track.sample_rate, subtype="FLOAT")
        except soundfile.SoundFileError as error:
            raise OSError(f"{file}: cannot be written, is the disk full? ({error})") from error
        outcome = run_child(
            {"root": str(root), "cpus": grader.num_cpus, "track": name},
            [Stage("ready", grader.start_limit_s), Stage("done", limit_s)],
            folder=root,
            scratch=home,
            environment={
                "AICROWD_DATASET_DIR": str(dataset),
                "AICROWD_PUBLIC_SHARED_DIR": str(shared),
                **({} if wants_gpu(root) else {"CUDA_VISIBLE_DEVICES": ""}),
            },
            memory_bytes=grader.memory_bytes,
        )
        failure = outcome.failure
        sdr: dict[str, float] = {}
        if not failure:
            references = track.read_stems(INSTRUMENTS)
            failure, sdr = score(shared / "predictions" / name, references, track.sample_rate)
    return _result(track.name, duration_s, limit_s, outcome, failure, sdr)


def score(predictions: Path, references: dict[str, np.ndarray], sample_rate: int) -> tuple[str, dict[str, float]]:
    """Read the files that the wrapper wrote and score them.

    Args:
        predictions: folder of the track.
        references: the true stems, [C, T] each.
        sample_rate: theirs, Hz.

    Returns:
        Why the grader would fail the track, else ""; and the SDR of each instrument in dB.
    """
    import soundfile

    sdr = {}
    for name in INSTRUMENTS:
        samples, rate = soundfile.read(predictions / f"{name}.wav", dtype="float32", always_2d=True)
        if samples.T.shape != references[name].shape:
            got = f"{samples.shape[0]} samples of {samples.shape[1]} channels"
            channels, num_samples = references[name].shape
            return f"{name}: wrong sample count: expected {num_samples} samples of {channels} channels, got {got}", {}
        if rate != sample_rate:
            return f"{name}: expected {sample_rate} Hz, got {rate}", {}
        sdr[name] = float(global_sdr(references[name], samples.T))
    return "", sdr


def wants_gpu(root: Path) -> bool:
    """Whether `aicrowd.json` asks for a GPU; without it the grader has none."""
    try:
        return json.loads((root / "aicrowd.json").read_text(encoding="utf-8")).get("gpu") is True
    except (OSError, ValueError, AttributeError):
        return False


def _result(
    track: str, duration_s: float, limit_s: float, outcome: Outcome, failure: str, sdr: dict[str, float]
) -> Result:
    done: dict[str, Any] = outcome.messages.get("done") or {}
    if outcome.is_late and "ready" in outcome.took_s:
        failure = f"missed the limit: not done after {limit_s:.2f} s"
    attempts = (done or outcome.messages.get("ready") or {}).get("attempts", [])
    if failure and attempts:
        failure += f" (it tried to reach the network: {attempts[0]})"
    return Result(
        track=track,
        duration_s=duration_s,
        limit_s=limit_s,
        start_s=outcome.took_s.get("ready"),
        took_s=outcome.took_s.get("done"),
        processor_s=done.get("processor_s"),
        peak_bytes=outcome.peak_bytes,
        sdr=sdr,
        reduced=done.get("reduced", {}),
        failure=failure,
        log=outcome.log if failure else "",
    )


def _result_path(out: Path, track: Track) -> Path:
    return out / "tracks" / f"{hashlib.sha256(track.name.encode()).hexdigest()[:16]}.json"


def _read(path: Path, key: dict[str, Any]) -> Result | None:
    """A stored result; None if there is none, it is damaged, it failed, or it belongs to another key."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        result = Result(**stored["result"])
        return result if stored["key"] == key and not result.failure else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, key: dict[str, Any], result: Result) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"key": key, "network": network_barrier(), "result": asdict(result)}, indent=1)
    write_atomically(path, lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))
