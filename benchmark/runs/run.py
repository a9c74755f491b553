"""A run: every system on every track, separated and scored, except where the result is already there.

The same command run again takes up the finished results, so a killed run loses the pairs in hand and no more. A result
counts while all that made it is the same, see `identity`. One pair at a time: `serial`; several: `parallel`.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.provenance.hashes import FileHashes
from benchmark.provenance.weights import Source
from benchmark.runs.identity import differences, result_key
from benchmark.runs.museval_files import write_museval
from benchmark.runs.pair import Origin, Pair, current_commit
from benchmark.runs.record import write_record
from benchmark.runs.settings import Settings
from benchmark.runs.store import (
    Failure,
    has_audio,
    num_older_results,
    read_key,
    read_result,
    result_path,
    track_id,
    track_titles,
    without_frames,
)
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
) -> tuple[list[dict[str, Any]], list[Failure]]:
    """Measure every system on every track, except where the result is already there.

    Args:
        sources: the systems.
        tracks: the tracks; a name may be in several splits.
        out: folder of the results.
        settings: see Settings.
        data: what the tracks are, in words, for the record of the run.
        jobs: pairs of a system and a track that are measured at once, as Ray tasks if more than one; None for one, or
            on a cluster for as many as it has CPUs for.
        address: of a Ray cluster that does it, None for this machine.
        command: what the user typed, to be stored with each result.

    Returns:
        The results without their frames, systems in order and tracks in order, and what failed.

    Raises:
        ValueError: two tracks of a split have one name.
    """
    from tqdm import tqdm

    pairs = _pairs(sources, tracks, out, settings)
    keys = [pair.key for pair in pairs]
    write_record(out, data, keys)
    waiting = [pair for pair in pairs if not _is_kept(pair, out, settings)]
    for line in _told(pairs, waiting, out):
        print(line, file=sys.stderr)
    failures: list[Failure] = []
    if waiting:
        origin = Origin(command, current_commit())
        with tqdm(total=len(waiting), unit="pair", dynamic_ncols=True) as bar:
            for source in dict.fromkeys(pair.source for pair in waiting):
                if source.warning:
                    bar.write(f"warning: {source.warning}", file=sys.stderr)
            if address or (jobs or 1) > 1:
                from benchmark.runs import parallel

                failures += parallel.run_pairs(waiting, out, settings, origin, bar, jobs, address)
            else:
                from benchmark.runs import serial

                failures += serial.run_pairs(waiting, out, settings, origin, bar)
    results = []
    for key in keys:
        result = read_result(_path(out, key), key)
        if result is not None:
            write_museval(out, result)
            results.append(without_frames(result))  # all tracks and systems together need not fit into memory
    write_record(out, data, keys, failures)
    return results, failures


def _pairs(sources: Sequence[Source], tracks: Sequence[Track], out: Path, settings: Settings) -> list[Pair]:
    """All pairs, systems in order and tracks in order."""
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
    return result is not None and has_audio(result, settings.keep_audio_s)


def _told(pairs: Sequence[Pair], waiting: Sequence[Pair], out: Path) -> Iterable[str]:
    """What the user must know of the results that are there: how many count, and why others do not."""
    if len(waiting) < len(pairs):
        yield f"{len(pairs) - len(waiting)} of {len(pairs)} results are already in {out}"
    stored = [(read_key(_path(out, pair.key)), pair.key) for pair in waiting]
    stale = [differences(before, key) or ["their audio was not kept"] for before, key in stored if before is not None]
    if stale:
        reasons = Counter(reason for found in stale for reason in found)
        listed = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
        yield f"{len(stale)} results in {out} no longer hold and are measured again. What differs: {listed}"
    if older := num_older_results(out):
        yield f"{older} results in {out}/tracks are of an older version of this program: not used, and yours to delete"
