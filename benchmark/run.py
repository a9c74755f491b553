"""Separate and score: every system on every track, each system in a process of its own, every result kept at once.

A result is one json file, `DIR/tracks/<system>/<track>.json`, written whole or not at all. The same command run
again takes up the finished ones, so a killed run loses the track in hand and no more. A process of its own means that
the peak memory is the system's and that a crash takes only the track in hand with it.
"""

import contextlib
import hashlib
import json
import math
import multiprocessing
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.adapter import System
from benchmark.oracle import IdealRatioMask
from benchmark.source import Source
from benchmark.systems import load
from models.metrics import csdr, frame_sdr, global_sdr
from models.tracks import STEMS, Track

FORMAT = 1
"""Raised when results of an older version must not be reused."""
WARM_UP_S = 5.0


@dataclass(frozen=True)
class Settings:
    """What the measured figures depend on besides system and track.

    Attributes:
        device: where the systems run, as torch names it.
        threads: CPU threads of a system.
    """

    device: str
    threads: int


@dataclass(frozen=True)
class Failure:
    """A system that did not finish a track (or any track, when `track` is empty), and why."""

    system: str
    track: str
    reason: str


# One track -----------------------------------------------------------------------------------------------------------


def result_key(source: Source, track: Track, settings: Settings) -> dict[str, Any]:
    """Everything that must agree before a stored result is reused."""
    return {
        "format": FORMAT,
        "system": source.name,
        "digest": source.digest,
        "track": track.name,
        "split": track.split,
        "audio": track.fingerprint(),
        **asdict(settings),
    }


def result_path(out: Path, system: str, track: str) -> Path:
    """Where the result of a system on a track is kept."""
    return out / "tracks" / safe_name(system) / f"{safe_name(track)}.json"


def safe_name(name: str) -> str:
    """A file name for any text: letters, digits, `.`, `_` and `-`, and a hash where that loses something."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip(".")[:100]
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def read_result(path: Path, key: dict[str, Any]) -> dict[str, Any] | None:
    """A stored result; None if there is none, it is damaged, or it was measured under another key."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["key"] != key:
            return None
        scores = result["scores"]
        for stem in scores["stems"]:
            for values in ("frames", "sdr", "csdr"):
                scores[values][stem] = _from_json(scores[values][stem])
        return result
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Write a result so that the file is complete whenever it exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(_to_json(result), indent=1, allow_nan=False, ensure_ascii=False) + "\n", "utf-8")
    os.replace(part, path)


def _to_json(value: Any) -> Any:
    """Strict json has no numbers that are not finite: NaN becomes null, an infinite SDR "inf" or "-inf"."""
    if isinstance(value, dict):
        return {key: _to_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    return math.nan if value is None else float(value)


def score(references: np.ndarray, estimates: np.ndarray, stems: Sequence[str], sample_rate: int) -> dict[str, Any]:
    """Score the stems of a track together, [S, C, T] each: global SDR, museval's frames of 1 s and their median."""
    frames = frame_sdr(references, estimates, sample_rate)
    overall, medians = global_sdr(references, estimates), csdr(frames)
    return {
        "stems": list(stems),
        "sdr": {stem: float(overall[index]) for index, stem in enumerate(stems)},
        "csdr": {stem: float(medians[index]) for index, stem in enumerate(stems)},
        "frames": {stem: frames[index].tolist() for index, stem in enumerate(stems)},
        "num_frames": frames.shape[1],
        "nan_frames": int(np.isnan(frames[0]).sum()),
    }


def measure(system: System | IdealRatioMask, track: Track, label: str) -> dict[str, Any]:
    """Separate one track and score it; the references are read afterwards, so that they are not in its peak memory.

    Raises:
        ValueError: the track cannot be read, or an estimate has another shape or holds numbers that are not finite.
    """
    stems = [stem for stem in STEMS if stem in system.stems]
    if isinstance(system, IdealRatioMask):
        references = track.read_stems(("mixture", *STEMS))
        mixture = references.pop("mixture")
        separate = partial(system.separate, mixture, references)
    else:
        references = {}
        mixture = track.read_mixture()
        separate = partial(system.separate, mixture, track.sample_rate)
    _reset_peak_memory()
    start = time.perf_counter()
    estimates = separate()
    separate_s = time.perf_counter() - start
    peak_bytes = _peak_memory_bytes()

    shape = mixture.shape
    for stem in stems:
        if estimates[stem].shape != shape:
            raise ValueError(f"{label} returned {stem} of shape {estimates[stem].shape}: expected {shape}")
        if not np.isfinite(estimates[stem]).all():
            raise ValueError(f"{label} returned {stem} with NaN or infinite samples")
    estimate = np.stack([estimates.pop(stem) for stem in stems])
    references = references or track.read_stems(stems)
    reference = np.stack([references.pop(stem) for stem in stems])
    if reference.shape[1:] != shape:
        raise ValueError(f"expected stems shaped like the mixture {shape}, got {reference.shape[1:]}")
    start = time.perf_counter()
    scores = score(reference, estimate, stems, track.sample_rate)
    score_s = time.perf_counter() - start
    return {
        "scores": scores,
        "duration_s": shape[-1] / track.sample_rate,
        "sample_rate": track.sample_rate,
        "separate_s": separate_s,
        "score_s": score_s,
        "peak_memory_bytes": peak_bytes,
        "load_1min": os.getloadavg()[0],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _reset_peak_memory() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak starts again at the present size


def _peak_memory_bytes() -> int:
    """The largest resident size of this process since the last reset, or ever where there is no such reset."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024  # not ru_maxrss: that inherits the parent's
    except (OSError, IndexError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


# One system, in a process of its own ---------------------------------------------------------------------------------


def work(connection: Connection, source: Source, tracks: Sequence[Track], out: Path, settings: Settings) -> None:
    """Load a system and measure it on tracks; what happens is told over the connection.

    Messages: ("start", track), then ("done", track) or ("failed", track, reason); ("unusable", reason) ends it all.
    """
    parent = os.getppid()
    try:
        import torch

        torch.set_num_threads(settings.threads)
        system = load(source, settings.device)
        _warm_up(system)
    except (Exception, SystemExit) as error:
        connection.send(("unusable", _reason(error)))
        return
    for track in tracks:
        if os.getppid() != parent:  # the run was killed: nobody waits for this any more
            return
        connection.send(("start", track.name))
        try:
            result = measure(system, track, source.label)
            result |= {"key": result_key(source, track, settings), "row": _row(source, system)}
            write_result(result_path(out, source.name, track.name), result)
        except Exception as error:
            connection.send(("failed", track.name, _reason(error)))
        else:
            connection.send(("done", track.name))


def _row(source: Source, system: System | IdealRatioMask) -> dict[str, Any]:
    """What the table says of a system besides its scores."""
    return {
        "label": source.label,
        "parameters": system.parameters,
        "checkpoint": source.checkpoint,
        "note": source.note,
    }


def _warm_up(system: System | IdealRatioMask) -> None:
    """Separate seconds of noise: the first call also pays for what later ones find ready."""
    rate = 44100 if isinstance(system, IdealRatioMask) else system.sample_rate or 44100
    noise = np.random.default_rng(0).normal(scale=0.1, size=(2, int(WARM_UP_S * rate))).astype(np.float32)
    if isinstance(system, IdealRatioMask):
        system.separate(noise, dict.fromkeys(system.stems, noise))
    else:
        system.separate(noise, rate)


def _reason(error: BaseException) -> str:
    """One line for the user; a fault that is not theirs also leaves its trace on stderr."""
    text = " ".join(str(error).split())
    if isinstance(error, (ValueError, OSError)):
        return text
    traceback.print_exception(error)
    return f"{type(error).__name__}: {text}"


# All of it -----------------------------------------------------------------------------------------------------------


def run(
    sources: Sequence[Source], tracks: Sequence[Track], out: Path, settings: Settings
) -> tuple[list[dict[str, Any]], list[Failure]]:
    """Measure every system on every track, except where the result is already there.

    Args:
        sources: the systems.
        tracks: the tracks.
        out: folder of the results.
        settings: see Settings.

    Returns:
        The results, systems in order and tracks in order, and what failed.
    """
    from tqdm import tqdm

    keys = {(source.name, track.name): result_key(source, track, settings) for source in sources for track in tracks}
    kept = {pair: read_result(result_path(out, *pair), key) for pair, key in keys.items()}
    num_kept = sum(result is not None for result in kept.values())
    if num_kept:
        print(f"{num_kept} of {len(kept)} results are already in {out}", file=sys.stderr)
    failures: list[Failure] = []
    with tqdm(total=len(kept) - num_kept, unit="track", disable=num_kept == len(kept), dynamic_ncols=True) as bar:
        for source in sources:
            open_tracks = [track for track in tracks if kept[source.name, track.name] is None]
            if open_tracks:
                if source.warning:
                    bar.write(f"warning: {source.warning}", file=sys.stderr)
                bar.set_description(source.name)
                failures += _run_system(source, open_tracks, out, settings, bar)
    results = []
    for pair, key in keys.items():
        result = kept[pair] or read_result(result_path(out, *pair), key)
        if result is not None:
            results.append(result)
    return results, failures


def _run_system(source: Source, tracks: Sequence[Track], out: Path, settings: Settings, bar: Any) -> list[Failure]:
    """Measure one system in a child process; after a crash the next child goes on with the track that follows."""
    failures: list[Failure] = []
    remaining = list(tracks)
    while remaining:
        begun = None
        connection, process = _start_child(source, remaining, out, settings)
        try:
            while True:
                message, *details = connection.recv()
                if message == "start":
                    begun = details[0]
                elif message == "unusable":
                    bar.update(len(remaining))
                    return [*failures, Failure(source.name, "", details[0])]
                else:
                    remaining.pop(0)
                    begun = None
                    bar.update(1)
                    if message == "failed":
                        failures.append(Failure(source.name, *details))
        except EOFError:
            process.join()
        except BaseException:
            process.kill()
            raise
        finally:
            connection.close()
        if not remaining:
            break
        code = process.exitcode or 0
        how = f"the process ended with signal {-code}" if code < 0 else f"the process ended with exit code {code}"
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        if begun is None:
            return [*failures, Failure(source.name, "", how + hint)]
        failures.append(Failure(source.name, begun, how + hint))
        remaining.pop(0)
        bar.update(1)
    return failures


def _start_child(
    source: Source, tracks: Sequence[Track], out: Path, settings: Settings
) -> tuple[Connection, SpawnProcess]:
    """Start `work` in a fresh interpreter. It ignores Ctrl-C, which this process answers for both."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(sender, source, list(tracks), out, settings), daemon=True)
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, previous)
    sender.close()  # the child's end alone is left: its exit ends the stream
    return receiver, process
