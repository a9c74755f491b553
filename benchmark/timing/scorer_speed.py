"""Times our BSSEval and museval's on the same estimates, in turns, in one process, and compares their scores."""

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.provenance.machine import processor
from benchmark.scoring.bsseval import METRICS, bsseval
from benchmark.scoring.scores import museval_frames
from models.tracks import STEMS, Track

ROUNDING_DB = 120.0
"""Larger ratios are rounding errors, in museval too."""


@dataclass(frozen=True)
class ScorerTiming:
    """Both scorers on one track.

    Attributes:
        track: its name.
        duration_s: seconds of audio.
        ours_s, museval_s: seconds of each run.
        largest_difference_db: over all frames whose museval score is finite and below ROUNDING_DB.
    """

    track: str
    duration_s: float
    ours_s: tuple[float, ...]
    museval_s: tuple[float, ...]
    largest_difference_db: float

    @property
    def ratio(self) -> float:
        """How many times faster ours is, by the medians."""
        return statistics.median(self.museval_s) / statistics.median(self.ours_s)


def measure_scorers(tracks: Sequence[Track], repeats: int, threads: int, seconds: float | None) -> list[ScorerTiming]:
    """Time both scorers on the four stems of tracks. The estimates are the stems with some of the others and noise.

    Args:
        tracks: the tracks.
        repeats: runs of each scorer, in turns, after a short warm-up of each.
        threads: threads of our scorer; museval uses those of its BLAS.
        seconds: length of each track that is scored; None for all of it.
    """
    from tqdm import tqdm

    timings = []
    warm = True
    for track in tqdm(tracks, unit="track", dynamic_ncols=True):
        frames = -1 if seconds is None else round(seconds * track.sample_rate)
        references = np.stack([track.read_stem(stem, 0, frames) for stem in STEMS])
        noise = np.random.default_rng(0).normal(scale=0.003, size=references.shape)
        estimates = (0.9 * references + 0.1 * references.sum(axis=0) + noise).astype(np.float32)
        if warm:
            bsseval(references[:2, :, :4410], estimates[:2, :, :4410], 2205, threads)
            museval_frames(references[:2, :, :4410], estimates[:2, :, :4410], 2205)
            warm = False
        ours_s, museval_s = [], []
        for _ in range(repeats):
            start = time.perf_counter()
            ours = bsseval(references, estimates, track.sample_rate, threads)
            between = time.perf_counter()
            theirs = museval_frames(references, estimates, track.sample_rate)
            ours_s.append(between - start)
            museval_s.append(time.perf_counter() - between)
        duration_s = references.shape[-1] / track.sample_rate
        difference = largest_difference_db(ours, theirs)
        timings.append(ScorerTiming(track.name, duration_s, tuple(ours_s), tuple(museval_s), difference))
    return timings


def largest_difference_db(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    """The largest difference over frames with a finite museval score; infinite if ours is not finite there."""
    largest = 0.0
    for metric in METRICS:
        values = theirs[metric]
        counted = np.isfinite(values) & (values < ROUNDING_DB)
        differences = np.abs(ours[metric] - values)[counted]
        if len(differences):
            largest = max(largest, float(np.nan_to_num(differences, nan=np.inf).max()))
    return largest


def render_scorers(timings: Sequence[ScorerTiming], threads: int) -> str:
    """The timings as Markdown; the last row has the medians over the tracks."""
    repeats = len(timings[0].ours_s)
    lines = [
        f"BSSEval v4 (SDR, ISR, SIR, SAR of four stems) on {processor()}, {threads} threads, {repeats} "
        f"run{'s' if repeats > 1 else ''} of each scorer in turns, load {os.getloadavg()[0]:.1f} at the end.",
        "",
        "| track | seconds | museval s | ours s | times faster | largest difference dB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    cells = [
        (
            timing.track.replace("|", "\\|"),
            timing.duration_s,
            statistics.median(timing.museval_s),
            statistics.median(timing.ours_s),
            timing.ratio,
            timing.largest_difference_db,
        )
        for timing in timings
    ]
    columns = list(zip(*cells, strict=True))[1:]
    middle = [statistics.median(column) for column in columns[:-1]]
    cells.append((f"median of {len(timings)}", *middle[:3], middle[3], max(columns[-1])))
    lines += [f"| {name} | {s:.1f} | {m:.2f} | {o:.2f} | {r:.1f} | {d:.1e} |" for name, s, m, o, r, d in cells]
    return "\n".join(lines)
