"""Packs: decoded stems on disk that training maps into memory, one int16 file a track.

Decoding once is what keeps the processor free for the network, and a memory map keeps hours of music out of memory.
"""

import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from tqdm import tqdm

from models.running import atomic
from models.running.processors import num_cpus
from models.signal.resampling import resample
from models.tracks import Track, check_stems, open_tracks
from models.training.data.origin import read_origin

T = TypeVar("T")
INDEX = "index.json"
FULL_SCALE = 32767


@dataclass(frozen=True)
class PackedTrack:
    """A track's stems, mapped from disk.

    Attributes:
        name: of the track.
        split: "train" or "valid".
        path: the int16 file.
        scale: what one unit of the stored integers is worth.
        silent: for each stem, whether it has no sound at all.
        rendered: whether a synthesizer played it; see ``DataConfig.rendered``.
    """

    name: str
    split: str
    path: Path
    scale: float
    silent: tuple[bool, ...]
    rendered: bool = False

    def audio(self) -> np.ndarray:
        """The stored integers, a read-only memory map [S, 2, T]."""
        return np.load(self.path, mmap_mode="r")

    @property
    def num_samples(self) -> int:
        """Length."""
        return self._layout[1]

    def read(self, stem: int, channels: Sequence[int], start: int, num_samples: int) -> np.ndarray:
        """Read a part of one stem, as float32 [C, num_samples]; outside the track there is silence.

        The file is opened for this and closed again: a map of each track would hold a file descriptor each.
        """
        header, length = self._layout
        part = np.zeros((len(channels), num_samples), dtype=np.float32)
        first, last = max(0, start), min(length, start + num_samples)
        if first < last:
            with self.path.open("rb") as file:
                for row, channel in enumerate(channels):
                    file.seek(header + 2 * ((2 * stem + channel) * length + first))
                    integers = np.fromfile(file, dtype=np.int16, count=last - first)
                    np.multiply(integers, np.float32(self.scale), out=part[row, first - start : last - start])
        return part

    @cached_property
    def _layout(self) -> tuple[int, int]:
        """Bytes before the first sample, and the number of samples."""
        audio = self.audio()
        assert isinstance(audio, np.memmap)
        return audio.offset, audio.shape[-1]


@dataclass(frozen=True)
class Pack:
    """Decoded tracks.

    Attributes:
        folder: where it lies.
        stems: the S names, in stored order.
        sample_rate: Hz.
        tracks: all of them, train and valid.
        origin: names of the data folders, or what their ``origin.txt`` says.
    """

    folder: Path
    stems: tuple[str, ...]
    sample_rate: int
    tracks: tuple[PackedTrack, ...]
    origin: str

    def split(self, name: str) -> list[PackedTrack]:
        """The tracks of "train" or "valid"."""
        return [track for track in self.tracks if track.split == name]

    def describe(self, name: str) -> str:
        """How many tracks and minutes a split has."""
        parts = []
        for rendered in (False, True):
            tracks = [track for track in self.split(name) if track.rendered is rendered]
            minutes = sum(track.num_samples for track in tracks) / self.sample_rate / 60
            if tracks or not rendered:
                parts.append(f"{len(tracks)} {'rendered ' if rendered else ''}tracks, {minutes:.1f} minutes")
        return " and ".join(parts)


def prepare_pack(roots: Sequence[Path], out: Path, stems: tuple[str, ...], sample_rate: int) -> Pack:
    """Decode the train and valid tracks of data folders into a pack; tracks that are there already are kept.

    Where no folder has validation tracks, every tenth training track in the order of names (one at least) becomes one.
    Rendered tracks never validate.

    Args:
        roots: data folders, see ``models.tracks``; test splits are never read.
        out: the pack's folder.
        stems: what each track must have.
        sample_rate: in Hz; other rates are converted.

    Raises:
        ValueError: no usable training track, a track that lacks a stem or whose files do not fit together (said before
            anything is decoded), a track that cannot be decoded, or a pack of other stems or rate at ``out``.
        FileNotFoundError: a folder that is not there, or that holds no tracks.
    """
    check_stems(stems, "stems")
    if (out / INDEX).exists():
        _check_fits(open_pack(out), stems, sample_rate)
    found = [
        (root, track) for root in roots for split in ("train", "valid") for track in open_tracks(root, split, stems)
    ]
    held_out = _held_out(found)
    origins = {root: read_origin(root) for root in roots}

    def pack_track(item: tuple[Path, Track]) -> dict[str, Any]:
        root, track = item
        name = track.fingerprint()
        if not (out / f"{name}.json").exists():  # written after the audio: where it is, the audio is whole
            _write_track(_decode(track, stems, sample_rate), out / name)
        facts = json.loads((out / f"{name}.json").read_text())
        split = "train" if track.rendered else "valid" if (root, track.name) in held_out else track.split
        rendered = {"rendered": True} if track.rendered else {}
        return {"name": track.name, "split": split, "file": f"{name}.npy", "root": origins[root], **rendered, **facts}

    _for_all(lambda item: item[1].check(stems), found, "check")  # all of them, before the first is decoded
    out.mkdir(parents=True, exist_ok=True)
    entries = _for_all(pack_track, found, "decode")
    index = json.dumps({"stems": stems, "sample_rate": sample_rate, "tracks": entries}, indent=1)
    atomic.write_text(out / INDEX, index)
    return open_pack(out)


def open_data(roots: Sequence[Path], cache: Path, stems: tuple[str, ...], sample_rate: int) -> Pack:
    """Open what the user named: one pack, or data folders, which are decoded into ``cache`` once.

    Raises:
        ValueError: a pack of other stems or another rate, or unusable data.
        FileNotFoundError: no data.
    """
    if len(roots) > 1 or not (roots[0] / INDEX).is_file():
        return prepare_pack(roots, cache, stems, sample_rate)
    pack = open_pack(roots[0])
    _check_fits(pack, stems, sample_rate)
    return pack


def open_pack(folder: Path) -> Pack:
    """Open a pack.

    Raises:
        FileNotFoundError: no pack there.
        ValueError: a damaged index.
    """
    if not (folder / INDEX).is_file():
        raise FileNotFoundError(f"{folder}: expected a pack with {INDEX}; make one with `python -m models prepare`")
    try:
        index = json.loads((folder / INDEX).read_text())
        tracks = tuple(
            PackedTrack(
                entry["name"],
                entry["split"],
                folder / entry["file"],
                entry["scale"],
                tuple(entry["silent"]),
                entry.get("rendered", False),
            )
            for entry in index["tracks"]
        )
        origin = ", ".join(dict.fromkeys(entry["root"] for entry in index["tracks"]))
        return Pack(folder, tuple(index["stems"]), index["sample_rate"], tracks, origin)
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / INDEX}: not a pack's index ({error!r}); delete the folder and prepare again"
        ) from None


def _for_all(work: Callable[[Any], Any], items: Sequence[Any], label: str) -> list[Any]:
    """What ``work`` makes of each item, in order, on all processors: decoders are processes of their own."""
    with ThreadPoolExecutor(num_cpus()) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [
                future.result()
                for future in tqdm(futures, desc=label, unit="track", file=sys.stderr, disable=None, leave=False)
            ]
        finally:
            for future in futures:  # after an error or Ctrl-C nothing more is begun
                future.cancel()


def _check_fits(pack: Pack, stems: tuple[str, ...], sample_rate: int) -> None:
    if (pack.stems, pack.sample_rate) != (stems, sample_rate):
        raise ValueError(
            f"{pack.folder} is a pack of {', '.join(pack.stems)} at {pack.sample_rate} Hz, "
            f"expected {', '.join(stems)} at {sample_rate} Hz; choose another folder"
        )


def _held_out(found: list[tuple[Path, Track]]) -> set[tuple[Path, str]]:
    recorded = [(root, track) for root, track in found if not track.rendered]
    if any(track.split == "valid" for _, track in recorded):
        if not any(track.split == "train" for _, track in recorded):
            raise ValueError("expected at least one training track, got 0; name a folder with a train split")
        return set()
    training = sorted((track.name, root) for root, track in recorded)
    if len(training) < 2:
        raise ValueError(
            f"expected at least two training tracks (one is kept for validation), got {len(training)}; "
            "name a folder with a train split"
        )
    chosen = every_tenth(training)
    print(f"no validation split: {len(chosen)} of {len(training)} training tracks validate", file=sys.stderr)
    return {(root, name) for name, root in chosen}


def every_tenth(training: Sequence[T]) -> list[T]:
    """The training tracks, sorted by name, that validate where no folder has validation tracks."""
    return list(training[::10])


def _decode(track: Track, stems: tuple[str, ...], sample_rate: int) -> np.ndarray:
    parts = track.read_stems(stems)
    audio = np.stack([parts[stem] for stem in stems])
    if audio.shape[1] > 2:
        raise ValueError(f"track {track.name!r}: expected mono or stereo stems, got {audio.shape[1]} channels")
    if track.sample_rate != sample_rate:
        audio = resample(torch.from_numpy(audio), track.sample_rate, sample_rate).numpy()
    return np.repeat(audio, 2, axis=1) if audio.shape[1] == 1 else audio


def _write_track(audio: np.ndarray, path: Path) -> None:
    scale = max(1.0, float(np.abs(audio).max())) / FULL_SCALE
    integers = np.round(audio / scale).astype(np.int16)
    facts = json.dumps({"scale": scale, "silent": [not stem.any() for stem in integers]})
    with atomic.replacing(path.with_suffix(".npy")) as part, part.open("wb") as file:
        np.save(file, integers)
    atomic.write_text(path.with_suffix(".json"), facts)
