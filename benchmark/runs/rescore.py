"""Scores kept estimates again: other metrics, frames or references, or changed code, without separating again."""

import time
from collections.abc import Mapping, MutableMapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.provenance.hashes import FileHashes
from benchmark.runs.audio import keep_audio
from benchmark.runs.estimates import read_about, read_estimates
from benchmark.runs.measure import read_references, score_track
from benchmark.runs.museval_files import write_museval
from benchmark.runs.record import Record, read_record, write_record
from benchmark.runs.result_key import scored_by
from benchmark.runs.settings import Settings
from benchmark.runs.store import (
    Failure,
    TrackId,
    has_audio,
    has_metrics,
    read_result,
    result_path,
    stored_metrics,
    track_id,
    without_frames,
    write_result,
)
from benchmark.scoring.accompaniment import with_accompaniment
from benchmark.scoring.bsseval import BSSEval
from benchmark.scoring.metrics import in_order
from benchmark.scoring.scores import score_extra
from models.tracks import Track

Task = tuple[dict[str, Any], Track, str]
"""The key that a result gets, its track, and the track's title in messages."""


def rescore(out: Path, tasks: Sequence[Task], settings: Settings) -> list[Failure]:
    """Score kept estimates, track by track, and store the results under new keys.

    What depends on the true stems alone is computed once for all systems of a track. Times and memory of the separation
    stay as they were measured.

    Args:
        out: the run's folder.
        tasks: the wanted results; of each, complete estimates are kept.
        settings: see Settings.

    Returns:
        The failures.
    """
    import torch
    from tqdm import tqdm

    torch.set_num_threads(settings.threads)
    failures = []
    by_track = sorted(tasks, key=lambda task: track_id(task[0]))
    with tqdm(total=len(tasks), desc="scoring", unit="result", dynamic_ncols=True) as bar:
        for _, group in groupby(by_track, key=lambda task: track_id(task[0])):
            tasks_of_track = list(group)
            track = tasks_of_track[0][1]
            truth: _Truth | None = None
            for key, _, title in tasks_of_track:
                try:
                    truth = truth or _Truth(track)
                    _rescore(out, key, track, truth, settings)
                except (ValueError, OSError) as error:
                    failures.append(Failure(key["system"], title, " ".join(str(error).split())))
                bar.update(1)
    return failures


class _Truth:
    """The mixture and true stems of a track, and the equations that all systems share."""

    def __init__(self, track: Track) -> None:
        self.mixture = track.read_mixture()
        self.equations: MutableMapping[tuple[str, ...], BSSEval] = {}
        self._track = track
        self._stems: dict[tuple[str, ...], dict[str, np.ndarray]] = {}

    def references(self, stems: tuple[str, ...]) -> dict[str, np.ndarray]:
        if stems not in self._stems:
            self._stems[stems] = read_references(self._track, stems, self.mixture.shape)
        return self._stems[stems]


def _rescore(out: Path, key: Mapping[str, Any], track: Track, truth: _Truth, settings: Settings) -> None:
    about = read_about(out, key)
    if about is None:
        raise ValueError("its estimates were not kept; run the benchmark again with --keep-estimates flac")
    path = result_path(out, key["system"], *track_id(key))
    stored = read_result(path, dict(key))
    present = stored_metrics(stored) if stored else ()
    if stored and has_metrics(stored, settings.metrics) and has_audio(stored, settings.keep_audio_s):
        return
    estimates = read_estimates(out, about)
    for stem, audio in estimates.items():
        if audio.shape != truth.mixture.shape:
            raise ValueError(f"expected a mixture shaped like the kept {stem} {audio.shape}, got {truth.mixture.shape}")
    references = truth.references(tuple(estimates))
    start = time.perf_counter()
    if stored:  # only what is missing
        missing = [metric for metric in settings.metrics if metric not in present]
        found = score_extra(references, estimates, truth.mixture, track.sample_rate, missing)
        scores, score_s = stored["scores"] | found, stored["score_s"]
    else:
        scores = score_track(references, estimates, truth.mixture, track.sample_rate, settings, truth.equations)
        score_s = 0.0
    score_s += time.perf_counter() - start
    result = {**about["result"], "audio": (stored or about["result"]).get("audio")}
    if not has_audio(result, settings.keep_audio_s):
        true = with_accompaniment(references, list(estimates))
        names = track, key["audio"], key["system"]
        result["audio"] = keep_audio(out, *names, settings.keep_audio_s, truth.mixture, true, estimates)
    write_result(path, result | {"key": dict(key), "scores": scores, "score_s": score_s})


def score_again(
    out: Path, tracks: Sequence[Track], metrics: Sequence[str], threads: int, frame_s: float | None = None
) -> tuple[Record, list[dict[str, Any]]]:
    """Score all kept estimates of a run again: what `python -m benchmark score` does.

    Metrics that a result has already stay; they are computed again only where code, frames or references changed.

    Args:
        out: the run's folder.
        tracks: among them the run's tracks, by split and name; with other files they are other references.
        metrics: some of EXTRA.
        threads: CPU threads.
        frame_s: length of the frames; None for that of the run.

    Returns:
        The record, with failures, and the results without their frames.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: none of its estimates were kept (those of degraded mixtures never are), or a track of the run is not
            among the tracks.
    """
    record = read_record(out)
    if any("degradation" in key for key in record.keys):
        raise ValueError(f"{out}: estimates of degraded mixtures are not kept, so they cannot be scored again")
    if not any(read_about(out, key) for key in record.keys):
        raise ValueError(f"{out}: expected kept estimates, got none; run the benchmark with --keep-estimates flac")
    by_id: dict[TrackId, Track] = {(track.split, track.name): track for track in tracks}
    missing = [title for identity, title in record.tracks.items() if identity not in by_id]
    if missing:
        raise ValueError(f"expected the tracks of the run, got no {missing[0]!r}; name their data set with --data")
    hashes = FileHashes(out)
    scoring = {scorer: scored_by(scorer) for scorer in {key["scorer"] for key in record.keys}}
    wanted_keys = []
    groups: dict[tuple[str, tuple[str, ...]], list[Task]] = {}
    for key in record.keys:
        track, now = by_id[track_id(key)], scoring[key["scorer"]]
        new = {**key, **now, "packages": key["packages"] | now["packages"], "audio": hashes.of(track.files)}
        new["frame_s"] = frame_s or key["frame_s"]
        wanted_keys.append(new)
        old = read_result(result_path(out, key["system"], *track_id(key)), key, frames=False)
        wanted = in_order({*metrics, *(stored_metrics(old) if old else ())})
        groups.setdefault((key["scorer"], wanted), []).append((new, track, record.tracks[track_id(key)]))
    hashes.save()
    failures = list(record.failures)
    for (scorer, wanted), tasks in groups.items():
        settings = Settings("cpu", threads, 0, scorer, wanted, tasks[0][0]["frame_s"])
        failures += rescore(out, tasks, settings)
    results, keys = [], []
    for key, new in zip(record.keys, wanted_keys, strict=True):
        path = result_path(out, key["system"], *track_id(key))
        result = read_result(path, new)
        keys.append(key if result is None else new)  # one that could not be scored again stays as it was
        result = result or read_result(path, key)
        if result is not None:
            write_museval(out, result)
            results.append(without_frames(result))
    write_record(out, record.data, keys, failures, record.root)
    return read_record(out), results
