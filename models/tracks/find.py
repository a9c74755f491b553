"""Finds the tracks of a data set, and the data set where none is named."""

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from models.tracks.folder import AUDIO_SUFFIXES, FolderTrack, audio_names
from models.tracks.names import STEMS, check_stems
from models.tracks.stem_file import STEM_FILE_SUFFIX, StemFileTrack
from models.tracks.track import Track

SPLITS = ("train", "valid", "test")


def open_tracks(root: str | os.PathLike[str], split: str, stems: Sequence[str] = STEMS) -> list[Track]:
    """List the tracks of a split, sorted by name.

    Three layouts are understood: `root/{train,valid,test}/` holding `*.stem.mp4` files (MUSDB18) or track folders
    (MUSDB18-HQ); a `root` that holds track folders or stem files itself, which then are in every split but "valid";
    and `root` being one `*.stem.mp4` file, a test track. Without a `valid/` folder the tracks that musdb lists for
    validation are taken out of `train/`.

    Args:
        root: the folder or file.
        split: "train", "valid", "test" or "all".
        stems: the stems each track must have, any names; pass () to accept all tracks, and read `track.stems`.

    Raises:
        ValueError: unknown split, names that cannot be stems, or a track that lacks one of `stems`.
        FileNotFoundError: no tracks at all under `root`.
    """
    if split not in (*SPLITS, "all"):
        raise ValueError(f"expected split train, valid, test or all, got {split!r}")
    if stems:
        check_stems(stems, "stems")
    root = Path(root).expanduser()
    found = _found(root, split)
    if found is None:
        what = "a folder without any" if root.is_dir() else "another kind of file" if root.exists() else "nothing there"
        raise FileNotFoundError(
            f"no tracks in {root} ({what}): expected *{STEM_FILE_SUFFIX} files or folders holding"
            f" {', '.join(stems) or 'stems'} as {'/'.join(suffix[1:] for suffix in AUDIO_SUFFIXES)},"
            " either in train/ and test/ or directly"
        )
    tracks = [track for track in found if split in ("all", track.split)]
    for track in tracks:
        track.check_names(stems)
    return sorted(tracks, key=lambda track: track.name)


def default_data_root(argument: str | None) -> tuple[Path, str]:
    """Where the music is: the argument, else $MUSDB_PATH, else the real 6-second excerpt that stempeg ships.

    Returns:
        The path, and the one line that tells the user which of the three it is.

    Raises:
        FileNotFoundError: neither is given and stempeg is not installed.
    """
    if argument:
        return Path(argument).expanduser(), f"data: {argument} (from --data)"
    from_environment = os.environ.get("MUSDB_PATH")
    if from_environment:
        return Path(from_environment).expanduser(), f"data: {from_environment} (from MUSDB_PATH)"
    try:
        excerpt = shipped_excerpt()
    except FileNotFoundError:
        raise FileNotFoundError(
            "no data: pass --data DIR, set MUSDB_PATH, or pip install stempeg for its excerpt"
        ) from None
    name = excerpt.name.removesuffix(STEM_FILE_SUFFIX)
    return excerpt, f"data: the 6-second excerpt that stempeg ships, {name} (set --data or MUSDB_PATH for more)"


def shipped_excerpt() -> Path:
    """The real 6-second excerpt with stems that stempeg ships.

    Raises:
        FileNotFoundError: stempeg is not installed.
    """
    spec = importlib.util.find_spec("stempeg")  # not imported: its import needs ffmpeg
    folder = Path(spec.origin).parent / "data" if spec and spec.origin else None
    excerpts = sorted(folder.glob(f"*{STEM_FILE_SUFFIX}")) if folder else []
    if not excerpts:
        raise FileNotFoundError("no excerpt of real music: pip install stempeg, which ships one")
    return excerpts[0]


def _found(root: Path, split: str) -> list[Track] | None:
    """The tracks of all splits at a root, or of this one where the root has no splits; None where no track is."""
    if root.is_file() and root.name.endswith(STEM_FILE_SUFFIX):
        return [StemFileTrack(root.name.removesuffix(STEM_FILE_SUFFIX), "test", root)]
    found = [track for name in SPLITS for track in _tracks_in(root / name, name)]
    if not found:
        found = _tracks_in(root, split)
        return None if not found else [] if split == "valid" else found
    if (root / "valid").is_dir():
        return found
    held_out = _validation_names()
    return [
        replace(track, split="valid") if track.split == "train" and track.name in held_out else track for track in found
    ]


def _tracks_in(folder: Path, split: str) -> list[Track]:
    """The tracks that lie directly in a folder; anything else in it is passed over."""
    tracks: list[Track] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith("."):
            continue
        if path.name.endswith(STEM_FILE_SUFFIX):
            tracks.append(StemFileTrack(path.name.removesuffix(STEM_FILE_SUFFIX), split, path))
        elif path.is_dir() and audio_names(path):
            tracks.append(FolderTrack(path.name, split, path))
    return tracks


def _validation_names() -> frozenset[str]:
    """The training tracks that musdb sets aside for validation, out of its installed configuration.

    The file is read without importing musdb, whose import needs ffmpeg even for wav files.
    """
    import yaml

    spec = importlib.util.find_spec("musdb")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the musdb package is not installed: it defines the validation split; pip install musdb"
        )
    configuration = Path(spec.origin).parent / "configs" / "mus.yaml"
    return frozenset(yaml.safe_load(configuration.read_text(encoding="utf-8"))["validation_tracks"])
