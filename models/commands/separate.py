"""The `separate` command: songs into stem files, with bounded memory for songs of any length.

python -m models separate song.mp3 --out stems/
python -m models separate song.mp3 --out stems/ --stems vocals --device cpu --format flac24
python -m models separate song.mp3 --out stems/ --checkpoint small --checkpoint tiny
python -m models separate song.mp3 --out stems/ --onnx small.onnx

With ``--onnx`` nothing here imports torch.
"""

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from models.audio.reader import open_audio
from models.audio.writer import FORMATS, AudioWriter, AudioWriters
from models.presets.settings import parse_assignments
from models.separation.progress import show_progress

if TYPE_CHECKING:
    from models.ensembles.ensemble import EnsembleSeparator
    from models.onnx.separator import OnnxSeparator
    from models.separation.separator import NetworkSeparator


class StemFile(NamedTuple):
    """A written stem."""

    path: Path
    clipped: int


def run(args: argparse.Namespace) -> int:
    """Run the `separate` command. A file that cannot be separated prints one line on stderr; the others still run.

    Returns:
        The exit status: 0, 2 if a file failed, 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: an argument is out of range, or two songs would write the same files.
    """
    with _ended_by_signals():
        return _separate_all(args)


def _separate_all(args: argparse.Namespace) -> int:
    folders = output_folders(args.inputs, args.out)
    separator, is_large = _open(args)
    check_no_input_is_output(args.inputs, folders, separator.stems, args.format)
    status = 0
    for path, folder in zip(args.inputs, folders, strict=True):
        try:
            written = separate_file(separator, path, folder, args.format, is_large or sys.stderr.isatty())
        except (ValueError, OSError) as error:
            print(f"{path}: {_one_line(error).removeprefix(f'{path}: ')}", file=sys.stderr)
            status = 2
        except (KeyboardInterrupt, SystemExit) as end:
            print(f"{path}: interrupted, none of its stems were written", file=sys.stderr)
            return 130 if isinstance(end, KeyboardInterrupt) else int(end.code or 0)
        else:
            _report(path, written)
    return status


def _open(args: argparse.Namespace) -> tuple["NetworkSeparator | EnsembleSeparator | OnnxSeparator", bool]:
    """The separator that was asked for, and whether it is costly.

    Raises:
        ValueError: a graph was asked for, and an option that only checkpoints have.
    """
    if args.onnx is None:
        from models.commands.separators import open_checkpoints

        return open_checkpoints(args)
    from models.onnx.separator import OnnxSeparator

    for option in ("checkpoint", "device", "one_at_a_time"):
        if getattr(args, option):
            raise ValueError(f"--{option.replace('_', '-')} is for checkpoints: --onnx runs {args.onnx} on the CPU")
    return OnnxSeparator(args.onnx, args.stems, args.overlap, parse_assignments(args.set)), False


def separate_file(
    separator: "NetworkSeparator | EnsembleSeparator | OnnxSeparator",
    path: Path,
    folder: Path,
    sample_format: str = "wav16",
    progress: bool = False,
) -> list[StemFile]:
    """Separate one song into `folder`/<stem>.<extension>; stems of an earlier run are replaced.

    The stems have the song's sample rate, channels and length. All appear when the song is done; none appears if it
    fails or is interrupted.

    Args:
        separator: one network, an ensemble or an exported graph.
        path: the song.
        folder: made if absent.
        sample_format: one of `models.audio.writer.FORMATS`.
        progress: whether to show a progress bar.

    Raises:
        FileNotFoundError: there is no such song.
        ValueError: the song is damaged, truncated or not an audio file, or one of its stems would overwrite it.
        OSError: the stems cannot be written.
    """
    song = open_audio(path)
    check_no_input_is_output([path], [folder], separator.stems, sample_format)
    pieces = separator.separate_stream(song.arrays(), song.sample_rate)
    if progress:
        pieces = show_progress(pieces, song.num_frames, song.sample_rate, Path(path).stem)
    folder.mkdir(parents=True, exist_ok=True)
    writers = {
        stem: AudioWriter(
            stem_path(folder, stem, sample_format), song.sample_rate, song.channels, sample_format, song.num_frames
        )
        for stem in separator.stems
    }
    with AudioWriters(list(writers.values())):
        for piece in pieces:
            for stem, samples in piece.items():
                writers[stem].write(samples)
    return [StemFile(writer.path, writer.clipped) for writer in writers.values()]


def stem_path(folder: Path, stem: str, sample_format: str) -> Path:
    """The file of a stem."""
    return folder / f"{stem}{FORMATS[sample_format].extension}"


def output_folders(inputs: list[Path], out: Path) -> list[Path]:
    """The folder for each song's stems: `out` itself for one song, `out`/<song> for several.

    Raises:
        ValueError: two songs have the same name.
    """
    if len(inputs) == 1:
        return [out]
    folders: dict[Path, Path] = {}
    for path in inputs:
        folder = out / (path.name if path.stem in (".", "..") else path.stem)
        if folder in folders:
            raise ValueError(f"{folders[folder]} and {path} would both write to {folder}: separate them one at a time")
        folders[folder] = path
    return list(folders)


def check_no_input_is_output(
    inputs: Iterable[Path], folders: Iterable[Path], stems: Iterable[str], sample_format: str
) -> None:
    """Check that no stem overwrites a song.

    Raises:
        ValueError: a stem has the path of one of the inputs.
    """
    songs = {Path(path).resolve() for path in inputs}
    targets = (stem_path(folder, stem, sample_format) for folder in folders for stem in stems)
    for target in targets:
        if target.resolve() in songs:
            raise ValueError(f"{target} is an input and would be overwritten by a stem: choose another output folder")


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the command as Ctrl-C does, so that unfinished files are removed."""

    def end(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    numbers = [signal.SIGTERM, signal.SIGHUP] if threading.current_thread() is threading.main_thread() else []
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(path: Path, written: list[StemFile]) -> None:
    """Print the written files and the number of clipped samples."""
    print(f"{path} -> {' '.join(str(stem.path) for stem in written)}")
    for stem in written:
        if stem.clipped:
            print(f"{stem.path}: {stem.clipped} samples clipped; --format wavfloat keeps them", file=sys.stderr)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
