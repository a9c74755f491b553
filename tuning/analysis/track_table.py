"""The SDR of each track in each trial of the complete cells, in one order of cells, seeds and tracks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from models.training.record.track_scores import read_track_scores
from tuning.trials.records import read_rows, read_trials, sdr_of

ALL_TRACKS = "all tracks"
"""Stands for the mean over tracks, where the scores of each are unknown."""


@dataclass(frozen=True)
class TrackTable:
    """The scores of complete cells.

    Attributes:
        cells: their names, in the order of the scores.
        tracks: names of the tracks; ``ALL_TRACKS`` alone if a trial has no scores of its tracks.
        seeds: numbers of the seeds.
        scores: SDR by the metric at the kept weights [cells, seeds, tracks], dB.
        curves: for each cell and seed, the SDR at all validations [validations, tracks].
    """

    cells: tuple[str, ...]
    tracks: tuple[str, ...]
    seeds: tuple[int, ...]
    scores: np.ndarray
    curves: list[list[np.ndarray]]

    def to_frame(self) -> pd.DataFrame:
        """A row for each cell, seed and track, with its ``sdr``."""
        names = pd.MultiIndex.from_product((self.cells, self.seeds, self.tracks), names=("cell", "seed", "track"))
        return pd.DataFrame({"sdr": self.scores.ravel()}, index=names).reset_index()


def track_table(out: Path, finished: pd.DataFrame, metric: str) -> TrackTable:
    """Read the scores of the trials in a table of complete cells.

    Args:
        out: folder of the search.
        finished: rows of ``read_results``; each cell has the same seeds.
        metric: ``mean`` or a stem.

    Raises:
        ValueError: a file of scores is damaged.
    """
    cells = tuple(dict.fromkeys(finished.cell))
    seeds = tuple(sorted(map(int, set(finished.seed))))
    names_of = {trial.index: trial.name for trial in read_trials(out)}
    folders = {
        (cell, seed): out / names_of[number]
        for cell, seed, number in zip(finished.cell, finished.seed, finished.trial, strict=True)
    }
    steps = finished.set_index(["cell", "seed"])["steps"]
    read = [[_read(folders[cell, seed], metric, int(steps[cell, seed])) for seed in seeds] for cell in cells]
    tracks = {names for row in read for names, _, _ in row}
    if len(tracks) == 1 and (names := tracks.pop()):
        scores = np.array([[curve[kept] for _, curve, kept in row] for row in read])
        return TrackTable(cells, names, seeds, scores, [[curve for _, curve, _ in row] for row in read])
    sdr = finished.set_index(["cell", "seed"])["sdr"]
    means = np.array([[[sdr[cell, seed]] for seed in seeds] for cell in cells], dtype=float)
    curves = [[trial[None] for trial in cell] for cell in means]
    return TrackTable(cells, (ALL_TRACKS,), seeds, means, curves)


def _read(folder: Path, metric: str, last: int) -> tuple[tuple[str, ...], np.ndarray, int]:
    """Names of a trial's tracks, SDR [validations, tracks], and the place of the best validation; no names: unknown."""
    best = max((row for row in read_rows(folder) if row["step"] <= last), key=lambda r: sdr_of(r, metric), default=None)
    validations = {step: scores for step, scores in read_track_scores(folder).items() if step <= last}
    if best is None or best["step"] not in validations:
        return (), np.empty((0, 0)), 0
    tracks = tuple(track for track, stems in validations[int(best["step"])].items() if _has(stems, metric))
    curve = np.array([[_sdr(scores[track], metric) for track in tracks] for scores in validations.values()])
    return tracks, curve, list(validations).index(int(best["step"]))


def _has(stems: dict[str, float], metric: str) -> bool:
    return bool(stems) if metric == "mean" else metric in stems


def _sdr(stems: dict[str, float], metric: str) -> float:
    values: Sequence[float] = list(stems.values()) if metric == "mean" else [stems[metric]]
    return sum(values) / len(values)
