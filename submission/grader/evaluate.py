"""Evaluates a submission as the grader does: tracks in process trees, within its limits, with scores kept on disk.

There is one json file for each track. The same command run again reuses results that did not fail, if submission, track
and machine are the same. Results of tracks that shared one process, where a track may affect the next, are reused all
together or not at all.
"""

import hashlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.running import atomic
from models.running.folder_lock import sole_writer
from models.running.hashes import sha256
from models.running.keyed_results import read_keyed
from models.tracks import Track
from submission.grader.session import Grader, Result, run_tracks
from submission.package.build import build, is_source
from submission.sandbox.run import network_barrier
from submission.sandbox.written_elsewhere import all_files

FORMAT = 2
"""Increased when results of an older version must not be reused."""


def evaluate(
    submission: Path,
    tracks: Sequence[Track],
    out: Path,
    grader: Grader | None = None,
    tell: Callable[[Result], None] = lambda result: None,
    one_process: bool = False,
) -> list[Result]:
    """Run and score a submission on tracks, except where the result is stored already.

    Args:
        submission: a package or another checkout of the kit; or a Bandsplit repository, which is packaged first.
        tracks: the tracks, with all four instruments.
        out: folder of the results; one evaluation at a time may write there.
        grader: the limits; the challenge's by default.
        tell: called with each result as soon as it is known.
        one_process: separate all tracks in one process, as the kit does, instead of one for each track.

    Raises:
        FileNotFoundError: `submission` is none of these.
        ValueError: a track cannot be read, or another process writes into `out`.
    """
    with sole_writer(out):
        (out / "tracks").mkdir(exist_ok=True)
        scratch = out / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)  # of a killed run
        scratch.mkdir()
        with prepared(submission, scratch) as root:
            results = _evaluate(root, tracks, out, grader or Grader(), tell, one_process)
        scratch.rmdir()
    return results


def _evaluate(
    root: Path,
    tracks: Sequence[Track],
    out: Path,
    grader: Grader,
    tell: Callable[[Result], None],
    one_process: bool,
) -> list[Result]:
    identity = {"submission": folder_hash(root), "host": platform.node(), "cpus": os.cpu_count()}
    audio = [track.fingerprint() for track in tracks]
    common = {**identity, "one_process": audio if one_process else None, **asdict(grader)}
    keys = [{"format": FORMAT, **common, "audio": hash_} for hash_ in audio]
    paths = [_result_path(out, track) for track in tracks]
    kept = [_read(path, key) for path, key in zip(paths, keys, strict=True)]
    if one_process and None in kept:
        kept = [None] * len(kept)
    if num_kept := sum(result is not None for result in kept):
        print(f"{num_kept} of {len(kept)} results are already in {out}", file=sys.stderr)
    results: list[Result] = []

    def keep(result: Result) -> None:
        if kept[len(results)] is None:
            _write(paths[len(results)], keys[len(results)], result)
        results.append(result)
        tell(result)

    if one_process and None in kept:
        run_tracks(root, tracks, grader, out / "scratch", tell=keep)
        return results
    for track, result in zip(tracks, kept, strict=True):
        if result is None:
            run_tracks(root, [track], grader, out / "scratch", tell=keep)
        else:
            keep(result)
    return results


@contextmanager
def prepared(submission: Path, scratch: Path) -> Iterator[Path]:
    """The root of a submission; for a Bandsplit repository, that of a temporary package.

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
    """Short hash of the names and contents of a submission's files; folders of git and caches are left out."""
    digest = hashlib.sha256()
    for path in all_files(root):
        digest.update(f"{path} {(root / path).stat().st_size} ".encode())
        digest.update(bytes.fromhex(sha256(root / path)))
    return digest.hexdigest()[:16]


def _result_path(out: Path, track: Track) -> Path:
    return out / "tracks" / f"{hashlib.sha256(track.name.encode()).hexdigest()[:16]}.json"


def _read(path: Path, key: dict[str, Any]) -> Result | None:
    """A stored result; None if there is none, it is damaged, it failed, or it belongs to another key."""
    result = read_keyed(path, key, lambda stored: Result(**stored["result"]))
    return None if result is None or result.failure else result


def _write(path: Path, key: dict[str, Any], result: Result) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_json(path, {"key": key, "network": network_barrier(), "result": asdict(result)})
