"""Separate and score: every system on every track, each system in a process of its own, every result kept at once.

The same command run again takes up the finished results, so a killed run loses the track in hand and no more. A process
of its own means that the peak memory is the system's and that a crash takes only the track in hand with it. Several at
once, or on a cluster: see `parallel`.
"""

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from operator import itemgetter
from pathlib import Path
from typing import Any

from benchmark.adapter import Counted, System, TrackSystem
from benchmark.kept_audio import keep_audio
from benchmark.machine import pinned_threads
from benchmark.measure import measure, warm_up
from benchmark.museval_files import write_museval
from benchmark.record import write_record
from benchmark.results import Failure, Settings, has_audio, read_result, result_key, result_path, write_result
from benchmark.source import Source
from benchmark.systems import load
from models.tracks import Track


def prepare(source: Source, settings: Settings) -> tuple[System | TrackSystem, dict[str, Any]]:
    """Load a system and warm it up; returns it, and what the table says of it besides its scores.

    Raises:
        ValueError, OSError: it cannot be loaded.
    """
    import torch

    torch.set_num_threads(settings.threads)
    system = load(source, settings.device)
    warm_up(system)
    return system, _row(source, system)


def measure_pair(
    system: System | TrackSystem,
    row: dict[str, Any],
    source: Source,
    track: Track,
    out: Path,
    settings: Settings,
    jobs: int = 1,
) -> None:
    """Measure a prepared system on a track and keep the result.

    Args:
        system, row: what `prepare` returned.
        source: the system's.
        track: the track.
        out: folder of the results.
        settings: see Settings.
        jobs: how many pairs are measured at once.
    """
    keep = partial(keep_audio, out, track, source.name, settings.keep_audio_s)
    result = measure(system, track, source.label, settings, keep if settings.keep_audio_s else None)
    result |= {"key": result_key(source, track, settings), "row": row, "jobs": jobs}
    write_result(result_path(out, source.name, track.name), result)


def work(connection: Connection, source: Source, tracks: Sequence[Track], out: Path, settings: Settings) -> None:
    """Load a system and measure it on tracks; what happens is told over the connection.

    Messages: ("start", track), then ("done", track) or ("failed", track, reason); ("unusable", reason) ends it all.
    """
    parent = os.getppid()
    try:
        system, row = prepare(source, settings)
    except (Exception, SystemExit) as error:
        connection.send(("unusable", told(error)))
        return
    for track in tracks:
        if os.getppid() != parent:  # the run was killed: nobody waits for this any more
            return
        connection.send(("start", track.name))
        try:
            measure_pair(system, row, source, track, out, settings)
        except Exception as error:
            connection.send(("failed", track.name, told(error)))
        else:
            connection.send(("done", track.name))


def _row(source: Source, system: System | TrackSystem) -> dict[str, Any]:
    """What the table says of a system besides its scores."""
    return {
        "label": source.label,
        "parameters": system.parameters,
        "gmacs_per_second": system.gmacs_per_second() if isinstance(system, Counted) else None,
        "checkpoint": source.checkpoint,
        "note": source.note,
    }


def told(error: BaseException) -> str:
    """One line for the user; a fault that is not theirs also leaves its trace on stderr."""
    text = " ".join(str(error).split())
    if isinstance(error, (ValueError, OSError)):
        return text
    traceback.print_exception(error)
    return f"{type(error).__name__}: {text}"


def run(
    sources: Sequence[Source],
    tracks: Sequence[Track],
    out: Path,
    settings: Settings,
    data: str = "",
    jobs: int | None = None,
    address: str | None = None,
) -> tuple[list[dict[str, Any]], list[Failure]]:
    """Measure every system on every track, except where the result is already there.

    Args:
        sources: the systems.
        tracks: the tracks.
        out: folder of the results.
        settings: see Settings.
        data: what the tracks are, in words, for the record of the run.
        jobs: pairs of a system and a track that are measured at once, as Ray tasks if more than one; None for one, or
            on a cluster for as many as it has CPUs for.
        address: of a Ray cluster that does it, None for this machine.

    Returns:
        The results without their frames, systems in order and tracks in order, and what failed.
    """
    from tqdm import tqdm

    keys = {(source.name, track.name): result_key(source, track, settings) for source in sources for track in tracks}
    write_record(out, data, keys.values())
    kept = {pair: read_result(result_path(out, *pair), key, frames=False) for pair, key in keys.items()}
    kept = {
        pair: result if result and has_audio(result, settings.keep_audio_s) else None for pair, result in kept.items()
    }
    num_kept = sum(result is not None for result in kept.values())
    if num_kept:
        print(f"{num_kept} of {len(kept)} results are already in {out}", file=sys.stderr)
    failures: list[Failure] = []
    open_pairs = [(source, track) for source in sources for track in tracks if kept[source.name, track.name] is None]
    with tqdm(total=len(open_pairs), unit="pair", disable=not open_pairs, dynamic_ncols=True) as bar:
        for source in dict.fromkeys(source for source, _ in open_pairs):
            if source.warning:
                bar.write(f"warning: {source.warning}", file=sys.stderr)
        if open_pairs and (address or (jobs or 1) > 1):
            from benchmark.parallel import run_pairs

            failures += run_pairs(open_pairs, out, settings, jobs, address, bar)
        else:
            for source, group in groupby(open_pairs, key=itemgetter(0)):
                bar.set_description(source.name)
                failures += _run_system(source, [track for _, track in group], out, settings, bar)
    results = []
    for pair, key in keys.items():
        result = read_result(result_path(out, *pair), key)
        if result is not None:
            write_museval(out, result)
            del result["scores"]["frames"]  # most of it: all tracks and systems together need not fit into memory
            results.append(result)
    write_record(out, data, keys.values(), failures)
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
        with pinned_threads(settings.threads):
            process.start()
    finally:
        signal.signal(signal.SIGINT, previous)
    sender.close()  # the child's end alone is left: its exit ends the stream
    return receiver, process
