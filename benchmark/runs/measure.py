"""Measures one system on one track: separates, then scores, and records the time and memory of the separation."""

import time
from collections.abc import Callable, Collection, Mapping, MutableMapping
from functools import partial
from typing import Any

import numpy as np

from benchmark.provenance.machine import Stopwatch, peak_memory_bytes, reset_peak_memory
from benchmark.runs.settings import Settings
from benchmark.scoring.accompaniment import ACCOMPANIMENT, with_accompaniment
from benchmark.scoring.bsseval import BSSEval
from benchmark.scoring.scores import score, score_all, score_extra
from benchmark.systems.interface import System, TrackSystem
from benchmark.workers.process import WorkerSystem
from models.tracks import STEMS, Track

WARM_UP_S = 5.0

Stems = Mapping[str, np.ndarray]
Keep = Callable[[np.ndarray, Stems, Stems], dict[str, Any] | None]
"""Stores audio: called with mixture, references and estimates; returns the entry for the result, or None."""


def measure(
    system: System | TrackSystem, track: Track, label: str, settings: Settings, keep: Keep | None = None
) -> dict[str, Any]:
    """Separate one track and score it. The references are read after the separation, to keep them out of its memory.

    Args:
        system: after its warm-up.
        track: the track.
        label: the system's name in messages.
        settings: where the system runs, and how it is scored.
        keep: stores audio; None to store none.

    Raises:
        ValueError: the track cannot be read, or an estimate has a wrong shape or samples that are not finite.
    """
    stems = [stem for stem in (*STEMS, ACCOMPANIMENT) if stem in system.stems]
    mixture = track.read_mixture()
    if isinstance(system, TrackSystem):
        separate = partial(system.for_track(track), mixture)
    else:
        separate = partial(system.separate, mixture, track.sample_rate)
    reset_peak_memory()
    with Stopwatch(settings.device) as watch:
        estimates = separate()
    peak_bytes, cpu_s = peak_memory_bytes(), watch.cpu_s
    if isinstance(system, WorkerSystem):
        peak_bytes += system.worker.peak_memory_bytes
        cpu_s += system.worker.cpu_s

    shape = mixture.shape
    for stem in stems:
        if estimates[stem].shape != shape:
            raise ValueError(f"{label}: expected {stem} of shape {shape}, got {estimates[stem].shape}")
        if not np.isfinite(estimates[stem]).all():
            raise ValueError(f"{label}: expected finite samples, got NaN or infinity in {stem}")
    del separate  # it may hold the stems that an oracle read
    estimates = {stem: estimates[stem] for stem in stems}
    references = read_references(track, stems, shape)
    start = time.perf_counter()
    scores = score_track(references, estimates, mixture, track.sample_rate, settings)
    score_s = time.perf_counter() - start
    audio = keep(mixture, with_accompaniment(references, stems), estimates) if keep else None
    return {
        "scores": scores,
        "duration_s": shape[-1] / track.sample_rate,
        "sample_rate": track.sample_rate,
        "separate_s": watch.wall_s,
        "separate_cpu_s": cpu_s,
        "score_s": score_s,
        "peak_memory_bytes": peak_bytes,
        "audio": audio,
    }


def read_references(track: Track, stems: Collection[str], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The true stems [C, T] that scoring these stems needs.

    Raises:
        ValueError: they cannot be read, or are not shaped like the mixture.
    """
    references = track.read_stems(STEMS if ACCOMPANIMENT in stems else [stem for stem in STEMS if stem in stems])
    true_shape = next(iter(references.values())).shape
    if true_shape != shape:
        raise ValueError(f"expected stems shaped like the mixture {shape}, got {true_shape}")
    return references


def score_track(
    references: Stems,
    estimates: Stems,
    mixture: np.ndarray,
    sample_rate: int,
    settings: Settings,
    equations: MutableMapping[tuple[str, ...], BSSEval] | None = None,
) -> dict[str, Any]:
    """All scores of a track that the settings ask for; `equations` as of `scores.score`."""
    together = partial(
        score,
        sample_rate=sample_rate,
        scorer=settings.scorer,
        workers=settings.threads,
        frame_s=settings.frame_s,
        equations=equations,
    )
    scores = score_all(references, estimates, together)
    return scores | score_extra(references, estimates, mixture, sample_rate, settings.metrics)


def warm_up(system: System | TrackSystem) -> None:
    """Separate 5 s of noise, because the first call also does the set-up of later calls."""
    if isinstance(system, TrackSystem):
        return
    rate = system.sample_rate or 44100
    noise = np.random.default_rng(0).normal(scale=0.1, size=(2, int(WARM_UP_S * rate))).astype(np.float32)
    system.separate(noise, rate)
