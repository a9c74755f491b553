"""The choices of a run that learns from songs without stems: read from its command line, kept in its folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.presets.preset import Preset
from models.pseudo.songs import UnlabelledSong, find_unlabelled
from models.pseudo.teachers import Source, parse_teachers
from models.running import atomic
from models.training.data.activity import SEGMENT_S
from models.training.data.packs import Pack
from models.training.record.run_folder import STATE, RunFolder

SETTINGS = "settings.json"
POOL = "pool"
"""Folder in that of the run."""
SHARE = 0.5
"""Of the material that comes from songs without stems, if nothing else is said; the paper does not say."""


@dataclass(frozen=True)
class RunSettings:
    """What a run learns from beside its pack.

    Attributes:
        roots: files and folders of songs without stems.
        songs: that were found there, each content once.
        teachers: who is asked for which stems.
        share: probability that a source, or the rest of a mixture, comes from these songs.
    """

    roots: tuple[Path, ...]
    songs: tuple[UnlabelledSong, ...]
    teachers: tuple[Source, ...]
    share: float

    def keep(self, out: Path, resume: bool) -> None:
        """Write the settings into a run's folder, or compare them with those that it began with.

        Raises:
            ValueError: they are others, or a run that is not to be resumed is there.
        """
        path, now = out / POOL / SETTINGS, self._plain()
        if not resume:
            RunFolder(out).refuse_overwrite()
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_json(path, now)
            return
        before = _read(path)
        for name, value in now.items():
            if before.get(name) != value:
                reason = _difference(name, before.get(name), value)
                raise ValueError(f"--resume: {reason}; begin a new run for others")

    def check_validation(self, pack: Pack) -> None:
        """Raise ValueError if a song has the name of a validation track: it would be learnt and then measured."""
        names = {track.name.casefold() for track in pack.split("valid")}
        if same := [song.name for song in self.songs if song.name.rsplit("/", 1)[-1].casefold() in names]:
            raise ValueError(f"--unlabelled: {same[0]!r} is a validation track; take it out of the folder")

    def _plain(self) -> dict[str, Any]:
        return {
            "songs": {song.digest: song.name for song in self.songs},
            "teachers": [source.describe() for source in self.teachers],
            "share": self.share,
        }


def read_settings(
    roots: Sequence[Path], teachers: Sequence[str], share: float, preset: Preset, out: Path
) -> RunSettings:
    """Find the songs and look the teachers up.

    Args:
        roots: files and folders, see ``models.pseudo.songs``.
        teachers: see ``models.pseudo.teachers``; without any, those that the run in ``out`` began with.
        share: in (0, 1].
        preset: of the run.
        out: its folder.

    Raises:
        FileNotFoundError, ValueError: songs or teachers are not there or do not fit; a share or a crop out of range.
    """
    if not 0 < share <= 1:
        raise ValueError(f"--unlabelled-share: expected a probability in (0, 1], got {share}")
    longest = preset.data.crop_s * 2 ** (preset.data.speed_semitones / 12)
    if longest > SEGMENT_S:
        raise ValueError(
            f"data.crop_s: expected crops within a segment of {SEGMENT_S:g} s for --unlabelled, at any speed, "
            f"got {longest:.2f} s"
        )
    songs: dict[str, UnlabelledSong] = {}
    for song in find_unlabelled(roots, out):
        songs.setdefault(song.digest, song)
    sources = parse_teachers(teachers or _read(out / POOL / SETTINGS)["teachers"], preset.model.stems)
    return RunSettings(tuple(roots), tuple(songs.values()), tuple(sources), share)


def has_pool(out: Path) -> bool:
    """Whether the run in a folder learns from songs without stems."""
    return (out / POOL / SETTINGS).is_file()


def forget_pool(out: Path) -> None:
    """Remove the settings of a run that ended before its first save: the one that begins now has no such songs."""
    if not (out / STATE).exists():
        (out / POOL / SETTINGS).unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"--resume: the run in {path.parents[1]} began without --unlabelled; leave it out")
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise ValueError(f"{path}: damaged; begin a new run in another folder") from None


def _difference(name: str, before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        gone, new = sorted(set(before) - set(now)), sorted(set(now) - set(before))
        changed = f"{before[gone[0]]!r} is not there or was changed" if gone else f"{now[new[0]]!r} is new"
        return (
            f"the {name} without stems are others than before: {changed}" if gone or new else f"{name} are named anew"
        )
    return f"{name} was {before!r} and is {now!r} now"
