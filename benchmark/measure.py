"""One system on one track: separate, then score, with the time and the memory that the separation took."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.adapter import System, TrackSystem
from models.metrics import csdr, frame_sdr, global_sdr
from models.tracks import STEMS, Track

WARM_UP_S = 5.0

Stems = Mapping[str, np.ndarray]
Keep = Callable[[np.ndarray, Stems, Stems], dict[str, Any]]
"""Keeps audio: takes mixture, references and estimates, and returns what the result should remember of it."""


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


def measure(system: System | TrackSystem, track: Track, label: str, keep: Keep | None = None) -> dict[str, Any]:
    """Separate one track and score it; the references are read afterwards, so that they are not in its peak memory.

    Raises:
        ValueError: the track cannot be read, or an estimate has another shape or holds numbers that are not finite.
    """
    stems = [stem for stem in STEMS if stem in system.stems]
    mixture = track.read_mixture()
    if isinstance(system, TrackSystem):
        separate = partial(system.for_track(track), mixture)
    else:
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
    del separate  # and the stems that an oracle read
    references = track.read_stems(stems)
    reference = np.stack([references.pop(stem) for stem in stems])
    if reference.shape[1:] != shape:
        raise ValueError(f"expected stems shaped like the mixture {shape}, got {reference.shape[1:]}")
    start = time.perf_counter()
    scores = score(reference, estimate, stems, track.sample_rate)
    score_s = time.perf_counter() - start
    audio = keep(mixture, _named(stems, reference), _named(stems, estimate)) if keep else None
    return {
        "scores": scores,
        "duration_s": shape[-1] / track.sample_rate,
        "sample_rate": track.sample_rate,
        "separate_s": separate_s,
        "score_s": score_s,
        "peak_memory_bytes": peak_bytes,
        "load_1min": os.getloadavg()[0],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "audio": audio,
    }


def _named(stems: Sequence[str], audio: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(stems, audio, strict=True))


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


def warm_up(system: System | TrackSystem) -> None:
    """Separate seconds of noise: the first call also pays for what later ones find ready."""
    if isinstance(system, TrackSystem):
        return
    rate = system.sample_rate or 44100
    noise = np.random.default_rng(0).normal(scale=0.1, size=(2, int(WARM_UP_S * rate))).astype(np.float32)
    system.separate(noise, rate)
