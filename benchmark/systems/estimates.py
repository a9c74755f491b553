"""A folder of estimates as a system: files that another program separated are scored like all systems."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmark.provenance.weights import Source
from benchmark.scoring.accompaniment import KNOWN_STEMS
from benchmark.systems.interface import TrackSystem
from models.tracks import AUDIO_SUFFIXES, Track


def resolve_estimates(text: str) -> Source:
    """Read `--estimates NAME=DIR`, where DIR holds a folder for each track, with files such as `vocals.wav`.

    Raises:
        ValueError: there is no name, or the folder holds no estimate.
        FileNotFoundError: there is no such folder.
    """
    name, equals, path = text.partition("=")
    if not equals or not name.strip() or not path:
        raise ValueError(f"--estimates: expected NAME=DIR, got {text!r}")
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"--estimates {name}: expected an existing folder, got {folder}")
    files = _files(folder)
    if not files:
        kinds = ", ".join(AUDIO_SUFFIXES)
        raise ValueError(
            f"--estimates {name}: expected TRACK/STEM files ({kinds}) with STEM one of {', '.join(KNOWN_STEMS)}, "
            f"got none in {folder}"
        )
    return Source(
        name.strip(),
        f"{name.strip()} (folder of estimates)",
        "estimates",
        str(folder.resolve()),
        "",
        ",".join(_stems(files)),
        "read from files: the time is that of reading them; the training data are unknown",
    )


class Estimates(TrackSystem):
    """The estimates of a folder: `TRACK/STEM.wav` (or flac, ogg), with the length and the rate of the track.

    Attributes:
        stems: the stems of which some track's folder has a file.
        parameters: 0.
    """

    def __init__(self, folder: str, device: str = "cpu") -> None:
        self._folder = Path(folder)
        self.stems = _stems(_files(self._folder))

    def for_track(self, track: Track) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        """See TrackSystem.

        Raises:
            FileNotFoundError: the track has no folder, or a stem that other tracks have is missing in it.
            ValueError: a stem has two files.
        """
        folder = self._folder / track.name
        if not folder.is_dir():
            raise FileNotFoundError(f"expected a folder {folder} with estimates of this track, got none")
        files = {}
        for stem in self.stems:
            found = [folder / f"{stem}{suffix}" for suffix in AUDIO_SUFFIXES]
            found = [file for file in found if file.is_file()]
            if not found:
                raise FileNotFoundError(f"{folder}: expected {', '.join(self.stems)} as in other tracks, got no {stem}")
            if len(found) > 1:
                raise ValueError(f"{folder}: expected one file of {stem}, got {len(found)}; remove the others")
            files[stem] = found[0]
        return partial(_read, files, track.sample_rate)


def _read(files: dict[str, Path], sample_rate: int, mixture: np.ndarray) -> dict[str, np.ndarray]:
    """Read estimates that must be shaped like the mixture [C, T].

    Raises:
        ValueError: a file cannot be read, or has another rate, length or number of channels.
    """
    import soundfile

    estimates = {}
    for stem, file in files.items():
        try:
            samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise ValueError(f"{file}: cannot be read ({error})") from error
        if rate != sample_rate:
            raise ValueError(f"{file}: expected {sample_rate} Hz as the track has, got {rate} Hz")
        if samples.T.shape != mixture.shape:
            wanted, got = (f"{shape[0]} channels of {shape[1]} samples" for shape in (mixture.shape, samples.T.shape))
            raise ValueError(f"{file}: expected {wanted} as the track has, got {got}")
        estimates[stem] = np.ascontiguousarray(samples.T)
    return estimates


def estimate_files(folder: Path, track: str) -> list[Path]:
    """The estimates of a track, sorted; empty if it has no folder."""
    inside = (folder / track).iterdir() if (folder / track).is_dir() else ()
    return sorted(file for file in inside if _is_estimate(file))


def _files(folder: Path) -> list[Path]:
    """The estimates of all tracks in a folder, sorted."""
    return sorted(file for file in folder.glob("*/*") if _is_estimate(file))


def _is_estimate(file: Path) -> bool:
    return file.suffix in AUDIO_SUFFIXES and file.stem in KNOWN_STEMS and file.is_file()


def _stems(files: list[Path]) -> tuple[str, ...]:
    """The stems of which some track has a file: all tracks are scored on these."""
    found = {file.stem for file in files}
    return tuple(stem for stem in KNOWN_STEMS if stem in found)
