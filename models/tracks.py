"""Music with known stems on disk: MUSDB18 (`*.stem.mp4`), MUSDB18-HQ and plain folders of track folders."""

import hashlib
import importlib.util
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

STEMS = ("vocals", "drums", "bass", "other")
MOST_STEMS = 64
LONGEST_STEM_NAME = 64
SPLITS = ("train", "valid", "test")
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg")
STEM_FILE_SUFFIX = ".stem.mp4"
RENDER_FILE = "render.json"
"""Lies in every finished track folder of ``models.rendering``, and says how it was made."""
STEM_FILE_STREAMS = {"mixture": 0, "drums": 1, "bass": 2, "other": 3, "vocals": 4}
"""The streams of a MUSDB18 file, as in musdb's own configuration."""


@dataclass(frozen=True)
class Track:
    """One piece of music with its stems on disk. Nothing is read before it is asked for, and no audio is kept.

    Attributes:
        name: the track's name: its file or folder name without suffix.
        split: the split it was opened from: "train", "valid" or "test" ("all" where the root has no splits).
        path: its `*.stem.mp4` file, or the folder that holds its audio files.
    """

    name: str
    split: str
    path: Path

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems the track has: those of STEMS in their order, then any others by name."""
        raise NotImplementedError

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold the track's audio."""
        raise NotImplementedError

    @property
    def rendered(self) -> bool:
        """Whether a synthesizer played the track: its folder then holds ``render.json``."""
        return False

    @property
    def sample_rate(self) -> int:
        """Sample rate in Hz."""
        raise NotImplementedError

    @property
    def num_frames(self) -> int:
        """Length in samples per channel, as the file's header says."""
        raise NotImplementedError

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_frames / self.sample_rate

    def read_stem(self, stem: str, start: int = 0, frames: int = -1) -> np.ndarray:
        """Read one stem, or the mixture.

        Args:
            stem: a name out of ``stems``, or "mixture".
            start: first sample to read.
            frames: how many samples; -1 for all that follow. Fewer are returned where the audio ends earlier.

        Returns:
            float32 [C, T].

        Raises:
            ValueError: the track has no such stem, the file cannot be read, or `start` lies outside it.
        """
        raise NotImplementedError

    def read_mixture(self) -> np.ndarray:
        """Read the mixture, float32 [C, T]: its own file, or the sum of the stems where there is none."""
        return self.read_stem("mixture")

    def read_stems(self, stems: Sequence[str] = STEMS) -> dict[str, np.ndarray]:
        """Read several stems ("mixture" is one too), each float32 [C, T], all of one shape.

        Raises:
            ValueError: a stem is missing or their shapes differ; the message names the track.
        """
        return self._checked({stem: self.read_stem(stem) for stem in stems})

    def check(self, stems: Sequence[str]) -> None:
        """Find out without decoding whether the stems can be read together, as far as file headers tell.

        Raises:
            ValueError: a stem is missing, a file unreadable, or rates or shapes differ; the message names the track.
        """
        have = self.stems
        for stem in stems:
            if stem not in have:
                raise self._no_stem(stem)

    def fingerprint(self) -> str:
        """Short hash of the track's name and files (sizes, and three 64 KiB blocks of each): same audio, same hash."""
        digest = hashlib.sha256(self.name.encode())
        for file in self.files:
            size = file.stat().st_size
            digest.update(f"{file.name} {size} ".encode())
            with file.open("rb") as stream:
                for position in (0, size // 2, max(0, size - 65536)):
                    stream.seek(position)
                    digest.update(stream.read(65536))
        return digest.hexdigest()[:16]

    def _checked(self, audio: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self._check_shapes({stem: array.shape for stem, array in audio.items()})
        return audio

    def _check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        if len(set(shapes.values())) > 1:
            listed = ", ".join(f"{stem} {shape}" for stem, shape in shapes.items())
            raise ValueError(f"track {self.name!r}: expected stems of one shape [channels, samples], got {listed}")

    def _no_stem(self, stem: str) -> ValueError:
        """What to raise for a stem that the track lacks."""
        raise NotImplementedError


@dataclass(frozen=True)
class StemFileTrack(Track):
    """A MUSDB18 track, one `*.stem.mp4` file of five streams, read through musdb (16-bit samples, needs ffmpeg)."""

    @property
    def stems(self) -> tuple[str, ...]:
        """See Track."""
        return STEMS

    @property
    def files(self) -> tuple[Path, ...]:
        """See Track."""
        return (self.path,)

    @property
    def sample_rate(self) -> int:
        """See Track."""
        return int(self._multitrack.rate)

    @property
    def num_frames(self) -> int:
        """See Track."""
        return int(self._multitrack.samples)

    def read_stem(self, stem: str, start: int = 0, frames: int = -1) -> np.ndarray:
        """See Track. The whole stream is decoded each time: only then is every position exact to the sample."""
        if stem not in STEM_FILE_STREAMS:
            raise self._no_stem(stem)
        multitrack = self._multitrack
        try:
            audio = multitrack.load_audio(str(self.path), STEM_FILE_STREAMS[stem])
        except (Exception, Warning) as error:
            raise self._unreadable(error) from error
        if audio.ndim == 1:
            audio = audio[:, None]
        if audio.size == 0:
            raise self._unreadable(f"its {stem} stream is empty")
        if not 0 <= start <= len(audio):
            raise ValueError(f"track {self.name!r}: start {start} lies outside its {len(audio)} samples")
        end = len(audio) if frames < 0 else start + frames
        return np.ascontiguousarray(audio[start:end].T, dtype=np.float32)

    def _no_stem(self, stem: str) -> ValueError:
        return ValueError(
            f"track {self.name!r} has no {stem}: the stems of {self.path} are {', '.join(STEMS)}; "
            "other stems need folders of audio files"
        )

    def _unreadable(self, reason: object) -> ValueError:
        detail = getattr(reason, "stderr", None)  # ffmpeg-python keeps what ffprobe said
        text = detail.decode(errors="replace").strip().splitlines()[-1] if detail else str(reason).split("\n")[0]
        return ValueError(f"track {self.name!r}: expected a stem file of five audio streams, got {self.path} ({text})")

    @cached_property
    def _multitrack(self) -> Any:
        """musdb's own track object; holds the stream information, no audio."""
        missing = [program for program in ("ffmpeg", "ffprobe") if shutil.which(program) is None]
        if missing:
            raise FileNotFoundError(f"{' and '.join(missing)} not found: reading {self.path} needs ffmpeg, install it")
        from musdb.audio_classes import MultiTrack

        try:
            multitrack = MultiTrack(name=self.name, path=str(self.path), subset=self.split, stem_id=0, is_wav=False)
            num_streams = multitrack.info.nb_audio_streams
        except Exception as error:
            raise self._unreadable(error) from error
        if num_streams != len(STEM_FILE_STREAMS):
            raise self._unreadable(f"{num_streams} audio streams")
        return multitrack


@dataclass(frozen=True)
class FolderTrack(Track):
    """A folder that holds one audio file for each stem, `vocals.wav` say, and maybe a `mixture.wav`; or flac, or ogg.

    Any other name is a stem too. Where there is no mixture, it is the sum of all stems: nothing else may lie there.
    """

    @property
    def stems(self) -> tuple[str, ...]:
        """See Track."""
        names = _audio_names(self.path) - {"mixture"}
        return (*(stem for stem in STEMS if stem in names), *sorted(names - set(STEMS)))

    @property
    def files(self) -> tuple[Path, ...]:
        """See Track."""
        candidates = (_audio_file(self.path, name) for name in ("mixture", *self.stems))
        return tuple(file for file in candidates if file)

    @property
    def rendered(self) -> bool:
        """See Track."""
        return (self.path / RENDER_FILE).is_file()

    @property
    def sample_rate(self) -> int:
        """See Track."""
        return self._header[0]

    @property
    def num_frames(self) -> int:
        """See Track."""
        return self._header[1]

    def check(self, stems: Sequence[str]) -> None:
        """See Track."""
        super().check(stems)
        shapes = {}
        for stem in stems:
            file = _audio_file(self.path, stem)
            assert file is not None
            rate, num_frames, channels = self._read_header(file)
            self._check_rate(rate, file)
            shapes[stem] = (channels, num_frames)
        self._check_shapes(shapes)

    def read_stem(self, stem: str, start: int = 0, frames: int = -1) -> np.ndarray:
        """See Track."""
        import soundfile

        file = _audio_file(self.path, stem)
        if file is None:
            if stem == "mixture" and self.stems:
                parts = self._checked({name: self.read_stem(name, start, frames) for name in self.stems})
                return np.stack(list(parts.values())).sum(axis=0, dtype=np.float32)
            raise self._no_stem(stem)
        try:
            with soundfile.SoundFile(file) as sound:
                self._check_rate(sound.samplerate, file)
                if not 0 <= start <= sound.frames:
                    raise ValueError(f"track {self.name!r}: start {start} lies outside its {sound.frames} samples")
                sound.seek(start)
                audio = sound.read(frames, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            raise ValueError(f"track {self.name!r}: cannot read {file} ({error})") from error
        return np.ascontiguousarray(audio.T)

    def _no_stem(self, stem: str) -> ValueError:
        files = " or ".join(stem + suffix for suffix in AUDIO_SUFFIXES)
        return ValueError(f"track {self.name!r} has no {stem}: expected {files} in {self.path}")

    def _check_rate(self, rate: int, file: Path) -> None:
        if rate != self.sample_rate:
            raise ValueError(
                f"track {self.name!r}: expected one sample rate, got {self.sample_rate} and {rate} Hz in {file.name}"
            )

    def _read_header(self, file: Path) -> tuple[int, int, int]:
        import soundfile

        try:
            information = soundfile.info(file)
        except soundfile.SoundFileError as error:
            raise ValueError(f"track {self.name!r}: cannot read {file} ({error})") from error
        return information.samplerate, information.frames, information.channels

    @cached_property
    def _header(self) -> tuple[int, int, int]:
        """Sample rate in Hz, samples and channels of the first file; read_stems checks that the others agree."""
        return self._read_header(self.files[0])


def check_stems(stems: Sequence[str], setting: str) -> None:
    """Check that names can be a set of stems.

    Args:
        stems: the names, which become file names.
        setting: what the user set, for the message.

    Raises:
        ValueError: no name, a name given twice, an empty one, one that no file should have, or "mixture".
    """
    if not 1 <= len(stems) <= MOST_STEMS or len(set(stems)) != len(stems) or not all(map(_is_stem_name, stems)):
        shown = f"{list(stems)}" if len(f"{stems}") < 200 else f"{len(stems)} names"
        raise ValueError(
            f"{setting}: expected 1 to {MOST_STEMS} different names of up to {LONGEST_STEM_NAME} letters that can be "
            f"names of files, none of them mixture, got {shown}"
        )


def _is_stem_name(name: str) -> bool:
    is_file_name = name.isprintable() and not name.startswith(".") and not set("/\\") & set(name)
    return is_file_name and name.strip() == name != "mixture" and 1 <= len(name) <= LONGEST_STEM_NAME


def _audio_names(folder: Path) -> set[str]:
    """The names, without suffix, of the audio files in a folder."""
    files = (path for path in folder.iterdir() if path.suffix in AUDIO_SUFFIXES and not path.name.startswith("."))
    return {path.stem for path in files if path.is_file()}


def _audio_file(folder: Path, name: str) -> Path | None:
    return next((path for suffix in AUDIO_SUFFIXES if (path := folder / f"{name}{suffix}").is_file()), None)


def _tracks_in(folder: Path, split: str) -> list[Track]:
    """The tracks that lie directly in a folder; anything else in it is passed over."""
    tracks: list[Track] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith("."):
            continue
        if path.name.endswith(STEM_FILE_SUFFIX):
            tracks.append(StemFileTrack(path.name.removesuffix(STEM_FILE_SUFFIX), split, path))
        elif path.is_dir() and _audio_names(path):
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
    if root.is_file() and root.name.endswith(STEM_FILE_SUFFIX):
        found: list[Track] = [StemFileTrack(root.name.removesuffix(STEM_FILE_SUFFIX), "test", root)]
    else:
        found = [track for name in SPLITS for track in _tracks_in(root / name, name)]
        if found:
            if not (root / "valid").is_dir():
                held_out = _validation_names()
                found = [
                    type(track)(track.name, "valid", track.path)
                    if track.split == "train" and track.name in held_out
                    else track
                    for track in found
                ]
        else:
            found = _tracks_in(root, split)
            if found and split == "valid":
                return []
    if not found:
        what = "a folder without any" if root.is_dir() else "another kind of file" if root.exists() else "nothing there"
        raise FileNotFoundError(
            f"no tracks in {root} ({what}): expected *{STEM_FILE_SUFFIX} files or folders holding"
            f" {', '.join(stems) or 'stems'} as {'/'.join(suffix[1:] for suffix in AUDIO_SUFFIXES)},"
            " either in train/ and test/ or directly"
        )
    tracks = [track for track in found if split in ("all", track.split)]
    for track in tracks:
        Track.check(track, stems)  # the names alone
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
