"""Separates songs that have no stems with systems of the benchmark: to listen, or as another system's pseudo-labels."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.provenance.machine import pinned_threads
from benchmark.provenance.weights import BOUND_ROLE, Source
from benchmark.runs.store import safe_name
from benchmark.systems.catalog import load
from benchmark.systems.interface import System, TrackSystem
from models.audio.formats import extension
from models.audio.tags import Tags
from models.songs.find import Song, find_songs
from models.songs.jobs import FAILED, Jobs
from models.songs.names import SEVERAL_SONGS, check_targets, stem_paths
from models.songs.report import print_outcome
from models.songs.separate_song import Output

RECORD_VERSION = 1
"""Raised when the same system gives other stems: what was made before is then made again."""


class SystemSeparator:
    """A system as `models.songs` takes separators. It gets a whole song at once.

    Args:
        system: separates stereo and mono.
        name: for messages.

    Attributes:
        name, stems, sample_rate, channels: see `models.separation.channels.ChannelSeparator`.
        on_arrays: the pieces are arrays of numpy.
    """

    channels = 2
    on_arrays = True

    def __init__(self, system: System, name: str) -> None:
        self.name, self.stems, self.sample_rate = name, tuple(system.stems), system.sample_rate or 44100
        self._system = system

    def separate_stream(self, blocks: Iterable[Any], sample_rate: int) -> Iterator[dict[str, np.ndarray]]:
        """Separate consecutive pieces [C, t] of a song; yields {stem: [C, T]} of the whole song once.

        Raises:
            ValueError: the system failed, or a stem has another shape or samples that are not finite.
        """
        mixture = np.concatenate(list(blocks), axis=1)
        try:
            stems = self._system.separate(mixture, sample_rate) if mixture.shape[1] else {}
        except Exception as error:  # of any package
            lines = str(error).splitlines() or [type(error).__name__]
            raise ValueError(f"{self.name} failed: {lines[0]}") from error
        found = {stem: np.asarray(stems.get(stem, mixture[:, :0]), np.float32) for stem in self.stems}
        for stem, samples in found.items():
            if samples.shape != mixture.shape:
                raise ValueError(f"{self.name}: expected {stem} of shape {mixture.shape}, got {samples.shape}")
            if not np.isfinite(samples).all():
                raise ValueError(f"{self.name}: expected finite samples, got NaN or infinity in {stem}")
        yield found


def separate_songs(
    sources: Sequence[Source],
    inputs: Sequence[Path],
    out: Path,
    output: Output,
    device: str = "cpu",
    threads: int = 1,
) -> int:
    """Separate songs with several systems into `OUT/SYSTEM/SONG/STEM.flac`, and print a line for each song.

    What was separated before, with the same weights from the same file, is left as it is.

    Args:
        sources: the systems; bounds are left out, since they need stems.
        inputs: audio and video files, and folders of them.
        out: folder of the stems.
        output: how they are written.
        device: where the systems run.
        threads: CPU threads.

    Returns:
        How many pairs of a system and a song failed; each has printed a line on stderr.

    Raises:
        ValueError: there is no system, a folder without songs, or two songs would write the same files.
    """
    sources = [source for source in sources if source.role != BOUND_ROLE]
    if not sources:
        raise ValueError("--systems: expected a system that separates a mixture, got bounds only")
    songs = list(dict.fromkeys(find_songs(inputs, out)))
    failed = 0
    for source in sources:
        with pinned_threads(threads):
            torch.set_num_threads(threads)
            system = load(source, device)
            if isinstance(system, TrackSystem):
                raise ValueError(f"{source.name}: expected a system that separates a mixture; this one reads files")
            failed += _separate_with(SystemSeparator(system, source.name), source, songs, out, output)
    return failed


def _separate_with(separator: SystemSeparator, source: Source, songs: Sequence[Song], out: Path, output: Output) -> int:
    folder = out / safe_name(source.name)
    targets: dict[Song, Mapping[str, Path]] = {
        song: stem_paths(song, separator.stems, folder, SEVERAL_SONGS, extension(output.sample_format), Tags())
        for song in songs
    }
    check_targets({song: paths.values() for song, paths in targets.items()})
    key = {"version": RECORD_VERSION, "system": source.name, "digest": source.digest, **asdict(output)}
    failed = 0
    for outcome in Jobs(separator, targets, output, folder, key).run(1):
        print_outcome(outcome, str(output.clip))
        failed += outcome.status == FAILED
    return failed
