"""A run: every system separates every track and is scored, except where the result is stored already.

The same command run again reuses the finished results, so a killed run loses only the unfinished pairs. A result is
reused only if its key is the same, see `result_key`. `serial` measures one pair at a time, `parallel` several. Where
the estimates were kept and only the scoring differs, `rescore` scores them again.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.provenance.hashes import FileHashes
from benchmark.provenance.weights import Source
from benchmark.runs import serial
from benchmark.runs.estimates import check_disk, expected_bytes, read_about
from benchmark.runs.museval_files import write_museval
from benchmark.runs.pair import Origin, Pair, current_commit
from benchmark.runs.record import write_record
from benchmark.runs.rescore import rescore
from benchmark.runs.result_key import differences, result_key
from benchmark.runs.settings import Settings
from benchmark.runs.store import (
    Failure,
    has_audio,
    has_metrics,
    num_older_results,
    read_key,
    read_result,
    result_path,
    track_id,
    track_titles,
    without_frames,
)
from benchmark.systems.interface import System
from models.tracks import Track


def run(
    sources: Sequence[Source],
    tracks: Sequence[Track],
    out: Path,
    settings: Settings,
    data: str = "",
    jobs: int | None = None,
    address: str | None = None,
    command: str = "",
    root: str = "",
    live: Mapping[str, System] | None = None,
) -> tuple[list[dict[str, Any]], list[Failure]]:
    """Measure every system on every track, except where the result is stored already.

    Args:
        sources: the systems.
        tracks: the tracks; a name may be in several splits.
        out: folder of the results.
        settings: see Settings.
        data: description of the tracks, for the record of the run.
        jobs: number of pairs that are measured at the same time, as Ray tasks if more than one. None: one, or on a
            cluster as many as its CPUs allow.
        address: of a Ray cluster; None for this machine.
        command: the user's command line, stored with each result.
        root: path of the data set, for the record of the run.
        live: systems that are objects of this process, by name: they are measured in it, one track after the other.

    Returns:
        The results without their frames, sorted by system and track as given, and the failures.

    Raises:
        ValueError: two tracks of a split have the same name, or the disk is too small for the estimates to keep.
    """
    from tqdm import tqdm

    pairs = _pairs(sources, tracks, out, settings)
    keys = [pair.key for pair in pairs]
    waiting = [pair for pair in pairs if not _is_kept(pair, out, settings)]
    separated = [pair for pair in waiting if read_about(out, pair.key)]
    fresh = [pair for pair in waiting if pair not in separated]
    if settings.keep_estimates and fresh:
        needed = expected_bytes((pair.source.name, pair.track) for pair in fresh)
        print(f"disk: {check_disk(out, needed)}", file=sys.stderr)
    write_record(out, data, keys, root=root)
    for line in _describe_stored(len(pairs) - len(waiting), fresh, out):
        print(line, file=sys.stderr)
    failures: list[Failure] = []
    if separated:
        print(f"{len(separated)} results are scored again from kept estimates", file=sys.stderr)
        failures += rescore(out, [(pair.key, pair.track, pair.title) for pair in separated], settings)
    waiting = fresh
    if waiting:
        origin = Origin(command, current_commit())
        with tqdm(total=len(waiting), unit="pair", dynamic_ncols=True) as bar:
            for source in dict.fromkeys(pair.source for pair in waiting):
                if source.warning:
                    bar.write(f"warning: {source.warning}", file=sys.stderr)
            here = [pair for pair in waiting if pair.source.name in (live or {})]
            if live and here:
                failures += serial.run_here(here, live, out, settings, origin, bar)
                waiting = [pair for pair in waiting if pair not in here]
            if address or (jobs or 1) > 1:
                from benchmark.runs import parallel

                failures += parallel.run_pairs(waiting, out, settings, origin, bar, jobs, address)
            else:
                failures += serial.run_pairs(waiting, out, settings, origin, bar)
    results = []
    for key in keys:
        result = read_result(_path(out, key), key)
        if result is not None:
            write_museval(out, result)
            results.append(without_frames(result))  # the frames of all results may not fit into memory
    write_record(out, data, keys, failures, root)
    return results, failures


def _pairs(sources: Sequence[Source], tracks: Sequence[Track], out: Path, settings: Settings) -> list[Pair]:
    """All pairs, sorted by system and track as given."""
    names = Counter((track.split, track.name) for track in tracks)
    if twice := [f"{name!r} in {split}" for (split, name), count in names.items() if count > 1]:
        raise ValueError(f"expected tracks of different names in a split, got two of {twice[0]}; rename one")
    titles = track_titles(names)
    hashes = FileHashes(out)
    pairs = [
        Pair(source, track, titles[track.split, track.name], result_key(source, track, settings, hashes))
        for source in sources
        for track in tracks
    ]
    hashes.save()
    return pairs


def _path(out: Path, key: Mapping[str, Any]) -> Path:
    return result_path(out, key["system"], *track_id(key))


def _is_kept(pair: Pair, out: Path, settings: Settings) -> bool:
    result = read_result(_path(out, pair.key), pair.key, frames=False)
    return (
        result is not None
        and has_audio(result, settings.keep_audio_s)
        and has_metrics(result, settings.metrics)
        and (not settings.keep_estimates or read_about(out, pair.key) is not None)
    )


def _describe_stored(num_kept: int, fresh: Sequence[Pair], out: Path) -> Iterable[str]:
    """Lines for the user about stored results: how many are reused, and why others are not."""
    if num_kept:
        yield f"{num_kept} results are already in {out}"
    stored = [(read_key(_path(out, pair.key)), pair.key) for pair in fresh]
    reasons = [differences(before, key) for before, key in stored if before is not None]
    stale = [found or ["their audio or a metric was not kept"] for found in reasons]
    if stale:
        counts = Counter(reason for found in stale for reason in found)
        listed = "; ".join(f"{reason} ({count})" for reason, count in counts.most_common())
        yield f"{len(stale)} results in {out} are out of date and are measured again. Changed: {listed}"
    if older := num_older_results(out):
        yield f"{older} results in {out}/tracks are of an older version of this program: not used, you may delete them"
