"""Names of the stem files: a template such as ``{artist} - {title} ({stem})``, and no two files of the same name."""

import string
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from models.audio.tags import Tags
from models.songs.find import Song

FIELDS = ("song", "stem", "artist", "title", "album", "track")
"""What a template may name: the file's name without its ending, the stem, and tags of the song."""
ONE_SONG, SEVERAL_SONGS = "{stem}", "{song}/{stem}"
"""The templates if none is given."""
LONGEST_VALUE_BYTES = 100
"""Of a tag in a name; file systems allow 255 bytes for the whole name."""
_NOT_IN_NAMES = '<>:"/\\|?*'
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(1, 10))}


def template_fields(template: str) -> set[str]:
    """The fields that a template names.

    Raises:
        ValueError: it is no template, has an unknown field or no ``{stem}``, or leads out of the output folder.
    """
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"--names: {error} in {template!r}") from None
    fields = {name for _, name, _, _ in parts if name is not None}
    known = ", ".join(f"{{{name}}}" for name in FIELDS)
    if any(spec or conversion for _, name, spec, conversion in parts if name is not None) or fields - set(FIELDS):
        raise ValueError(f"--names: expected fields of {known}, got {template!r}")
    if "stem" not in fields:
        raise ValueError(f"--names: expected {{stem}} in it, got {template!r}; the stems would have one name")
    path = PurePosixPath(template)
    if path.is_absolute() or ".." in path.parts or template.endswith("/"):
        raise ValueError(f"--names: expected a path inside the output folder, got {template!r}")
    return fields


def stem_paths(
    song: Song, stems: Sequence[str], out: Path, template: str, extension: str, tags: Tags
) -> dict[str, Path]:
    """The file of each stem of a song.

    Args:
        song: the song.
        stems: names of the stems.
        out: folder of all stems; the song's own place below it is kept.
        template: see ``template_fields``.
        extension: of the files, with its dot.
        tags: of the song. Without a title its file's name is taken; characters that no file name may have become "_".
    """
    name = song.path.name if song.path.stem in (".", "..") else song.path.stem
    values = {
        "song": name,
        "artist": _safe(tags.values.get("artist") or tags.values.get("album_artist") or "unknown artist"),
        "title": _safe(tags.values.get("title", "")) or name,
        "album": _safe(tags.values.get("album") or "unknown album"),
        "track": _safe(tags.values.get("track", "").split("/")[0].zfill(2)),
    }
    folder = out / song.folder
    return {stem: folder / (template.format_map({**values, "stem": stem}) + extension) for stem in stems}


def check_targets(targets: Mapping[Song, Iterable[Path]]) -> None:
    """Check that no two songs write the same file and none writes over a song.

    Args:
        targets: the stem files of each song.

    Raises:
        ValueError: two files would have one name.
    """
    songs = {song.path.resolve() for song in targets}
    writers: dict[Path, Song] = {}
    for song, paths in targets.items():
        for path in paths:
            if path.resolve() in songs:
                raise ValueError(f"{path} is an input and would be overwritten by a stem: choose another output folder")
            if path in writers:
                raise ValueError(
                    f"{writers[path].path} and {song.path} would both write to {path}: separate them one at a time,"
                    " or give --names a field in which they differ"
                )
            writers[path] = song


def _safe(text: str) -> str:
    """A text as a part of a file name on any system."""
    kept = "".join("_" if char in _NOT_IN_NAMES or not char.isprintable() else char for char in text)
    cut = kept.encode(errors="replace")[:LONGEST_VALUE_BYTES].decode(errors="ignore").strip(" .")
    return f"_{cut}" if cut.lower() in _RESERVED else cut
