"""Separates many songs, several at a time, with one network in memory; what is done already is left as it is."""

import contextlib
import threading
import time
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.running.hashes import sha256
from models.separation.channels import ChannelSeparator
from models.songs import records
from models.songs.find import Song
from models.songs.separate_song import Output, StemFile, Written, separate_song

SEPARATED, DONE, FAILED = "separated", "done before", "failed"


@dataclass(frozen=True)
class Outcome:
    """What became of a song."""

    path: Path
    """The song."""
    status: str
    """``SEPARATED``, ``DONE`` or ``FAILED``."""
    written: Written | None = None
    """Its stems, if it did not fail."""
    error: str = ""
    """What failed, one line."""
    work_s: float = 0.0
    """Seconds that it took."""


class Jobs:
    """Separates songs. Jobs are threads: PyTorch lets them work at the same time, and they share the network.

    Args:
        separator: one network or an ensemble.
        targets: the stem files of each song, {stem: path}.
        output: how they are written.
        out: the output folder.
        key: of network and options: a song's stems are done if they were made with the same key and input.
        progress: whether to show a progress bar for each song.

    Attributes:
        unfinished: songs that were begun; after an interruption, none of their stems were written.
    """

    def __init__(
        self,
        separator: ChannelSeparator,
        targets: Mapping[Song, Mapping[str, Path]],
        output: Output,
        out: Path,
        key: Mapping[str, Any],
        progress: bool = False,
    ) -> None:
        self._separator, self._targets, self._output, self._out = separator, targets, output, out
        self._key, self._progress = key, progress
        self._stop = threading.Event()
        self.unfinished: list[Path] = []

    def run(self, jobs: int) -> Generator[Outcome, None, None]:
        """Separate all songs; an interruption ends the songs in work, and no stem of theirs is written.

        Args:
            jobs: songs at a time.

        Yields:
            Each song's outcome, as they come.
        """
        if jobs == 1:
            yield from map(self._separate, self._targets)
            return
        with ThreadPoolExecutor(jobs) as pool:
            futures = [pool.submit(self._separate, song) for song in self._targets]
            try:
                for future in as_completed(futures):
                    yield future.result()
            finally:
                self._stop.set()
                pool.shutdown(cancel_futures=True)

    def _separate(self, song: Song) -> Outcome:
        self.unfinished.append(song.path)
        start = time.perf_counter()
        try:
            outcome = self._outcome(song, start)
        except (ValueError, OSError) as error:
            reason = " ".join(str(error).split()).removeprefix(f"{song.path}: ")
            outcome = Outcome(song.path, FAILED, error=reason, work_s=time.perf_counter() - start)
        self.unfinished.remove(song.path)
        return outcome

    def _outcome(self, song: Song, start: float) -> Outcome:
        targets = self._targets[song]
        paths = list(targets.values())
        key = {**self._key, "input": self._digest(song.path)}
        if found := records.read_records(self._out, paths, key):
            files = {
                stem: StemFile(path, record["peak"], record["beyond"])
                for (stem, path), record in zip(targets.items(), found, strict=True)
            }
            return Outcome(song.path, DONE, Written(files, found[0]["gain"], found[0]["seconds"]))
        written = separate_song(
            self._separator,
            song.path,
            targets,
            self._output,
            self._progress,
            self._stop,
            lambda: records.forget(self._out, paths),
        )
        facts = {
            file.path: {"peak": file.peak, "beyond": file.beyond, "gain": written.gain, "seconds": written.seconds}
            for file in written.files.values()
        }
        records.remember(self._out, facts, key)
        return Outcome(song.path, SEPARATED, written, work_s=time.perf_counter() - start)

    @staticmethod
    def _digest(path: Path) -> str:
        """What is in a song; empty if it cannot be read, which is said when it is opened."""
        with contextlib.suppress(OSError):
            return sha256(path)
        return ""
