"""The pool of labelled parts on disk: each is separated once for a teacher, and whole or not there after a kill."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.pseudo.parts import PART_S, Part, cut_into_parts
from models.pseudo.rule import GAP_DB, label_of
from models.pseudo.songs import UnlabelledSong
from models.pseudo.teachers import Teacher, separate_part
from models.running import atomic
from models.running.keyed_results import read_keyed
from models.training.data.activity import salient_starts, segment_length
from models.training.data.packs import FULL_SCALE, PackedTrack

PARTS, SONGS = "parts", "songs"
SAMPLE_BYTES, CHANNELS = 2, 2


@dataclass(frozen=True)
class ScannedSong:
    """Where in a song there is activity.

    Attributes:
        song: the song.
        num_samples: its length at the pool's rate.
        segment: length of its segments, samples.
        parts: with all its active segments.
        error: why it cannot be used; "" if it can.
    """

    song: UnlabelledSong
    num_samples: int = 0
    segment: int = 0
    parts: tuple[Part, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class LabelledPart:
    """A part of a song that a teacher has separated.

    Attributes:
        track: its rows are the stems, in the order of the pool's, and last what they leave of the mixture.
        starts: first samples of the segments.
        segment: their length.
        labels: for each stem, the label of each segment, see ``models.pseudo.rule``.
    """

    track: PackedTrack
    starts: tuple[int, ...]
    segment: int
    labels: Mapping[str, tuple[str, ...]]


def scan(song: UnlabelledSong, folder: Path, sample_rate: int) -> ScannedSong:
    """Find the active parts of a song, once; they are then kept in the pool's folder.

    Activity is that of the mixture, by the paper's rule, see ``models.training.data.activity``.

    Args:
        song: one that cannot be read is returned with the reason, and tried again next time.
        folder: of the pool.
        sample_rate: of the pool, Hz.

    Raises:
        OSError: what was found cannot be written.
    """
    path = folder / SONGS / f"{song.digest}.json"
    key = {"rate": sample_rate, "part_s": PART_S}
    facts = read_keyed(path, key, lambda stored: (int(stored["num_samples"]), [int(at) for at in stored["starts"]]))
    if facts is None:
        try:
            mixture = song.read(sample_rate)
        except (ValueError, OSError) as error:
            return ScannedSong(song, error=" ".join(str(error).split()))
        facts = mixture.shape[-1], salient_starts(mixture, sample_rate)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_json(path, {"key": key, "name": song.name, "num_samples": facts[0], "starts": facts[1]})
    segment = segment_length(facts[0], sample_rate)
    parts = cut_into_parts(facts[1], segment, round(PART_S * sample_rate))
    return ScannedSong(song, facts[0], segment, tuple(parts))


def pool_bytes(songs: Sequence[ScannedSong], num_stems: int) -> int:
    """What the files of the pool need."""
    samples = sum(part.stop - part.start for song in songs for part in song.parts)
    return samples * CHANNELS * SAMPLE_BYTES * (num_stems + 1)


def check_disk(folder: Path, needed: int) -> str:
    """A line for the user: how much the pool needs, and how much is free.

    Raises:
        ValueError: the disk has less than what is still to be written.
    """
    there = sum(path.stat().st_size for path in (folder / PARTS).glob("*.npy"))
    free = shutil.disk_usage(folder).free
    words = f"{needed / 1e9:.2f} GB in {folder}, {free / 1e9:.1f} GB are free"
    if needed > free + there:
        raise ValueError(f"--unlabelled: expected enough free space for the pool, got {words}; choose another --out")
    return words


def label_song(
    scanned: ScannedSong,
    teachers: Sequence[Teacher],
    stems: Sequence[str],
    sample_rate: int,
    folder: Path,
    is_stopped: Callable[[], bool] = lambda: False,
) -> list[LabelledPart]:
    """Separate and label the parts of a song that are not there yet, and return all that are.

    Args:
        scanned: the song.
        teachers: together they give all stems.
        stems: M names.
        sample_rate: of the pool, Hz.
        folder: of the pool.
        is_stopped: asked before each part; what is missing then is left out.

    Raises:
        ValueError: an estimate is damaged or does not fit, or a network's is not finite.
        OSError: the song or an estimate cannot be read, or a file not be written.
    """
    song, parts = scanned.song, []
    mixture: np.ndarray | None = None
    who = [[list(teacher.stems), teacher.identity(song)] for teacher in teachers]
    for part in scanned.parts:
        key = {
            "teachers": who,
            "stems": list(stems),
            "rate": sample_rate,
            "gap_db": GAP_DB,
            "starts": list(part.starts),
        }
        path = folder / PARTS / f"{song.digest}-{part.start}-{part.stop}"
        labelled = _read_part(path, key, song, scanned.segment)
        if labelled is None:
            if is_stopped():
                break
            mixture = song.read(sample_rate) if mixture is None else mixture
            own = mixture[:, part.start : part.stop]
            estimates = separate_part(teachers, song, mixture, part.start, part.stop)
            _write_part(path, key, own, np.stack([estimates[stem] for stem in stems]), scanned.segment)
            labelled = _read_part(path, key, song, scanned.segment)
            assert labelled is not None
        parts.append(labelled)
    return parts


def _write_part(path: Path, key: Mapping[str, Any], mixture: np.ndarray, estimates: np.ndarray, segment: int) -> None:
    """Write the rows, then what says that they are whole; what said so of rows that they replace goes first.

    Args:
        path: without suffix.
        key: of the result.
        mixture: [2, T].
        estimates: [M, 2, T].
        segment: length of the segments.
    """
    labels = {
        stem: [label_of(*(audio[:, at : at + segment] for audio in (mixture, estimate))) for at in key["starts"]]
        for stem, estimate in zip(key["stems"], estimates, strict=True)
    }
    rows = np.concatenate([estimates, (mixture - estimates.sum(axis=0))[None]])
    scale = float(np.abs(rows).max()) / FULL_SCALE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)
    with atomic.replacing(path.with_suffix(".npy")) as file, file.open("wb") as opened:
        np.save(opened, np.round(rows / scale).astype(np.int16))
    atomic.write_text(path.with_suffix(".json"), json.dumps({"key": key, "scale": scale, "labels": labels}))


def _read_part(path: Path, key: Mapping[str, Any], song: UnlabelledSong, segment: int) -> LabelledPart | None:
    def read(stored: dict[str, Any]) -> LabelledPart:
        audio = path.with_suffix(".npy")
        track = PackedTrack(song.name, "train", audio, float(stored["scale"]), (False,) * (len(key["stems"]) + 1))
        if track.num_samples < key["starts"][-1] + segment:  # raises where the file is not there
            raise ValueError("shorter than its segments")
        labels = {stem: tuple(stored["labels"][stem]) for stem in key["stems"]}
        return LabelledPart(track, tuple(key["starts"]), segment, labels)

    return read_keyed(path.with_suffix(".json"), key, read)
