"""The `separate` command: songs into stem files, with bounded memory for songs of any length.

python -m models separate song.mp3 --out stems/
python -m models separate song.mp3 --out stems/ --stems vocals --device cpu --format flac24
python -m models separate MUSIC --two-stems vocals --format mp3 --jobs 2
python -m models separate song.mp3 --out stems/ --checkpoint small --checkpoint tiny
python -m models separate song.mp3 --out stems/ --onnx small.onnx

With ``--onnx`` nothing here imports torch.
"""

import argparse
import contextlib
import dataclasses
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from models.audio.formats import extension
from models.audio.tags import Tags, read_tags
from models.presets.settings import parse_assignments
from models.running.memory import keep_freed_memory
from models.running.processors import num_cpus
from models.separation.channels import ChannelSeparator
from models.separation.sums import ACCOMPANIMENT, RESIDUAL, SHARED, names_with_rest
from models.songs.find import Song, find_songs
from models.songs.jobs import FAILED, Jobs, Outcome
from models.songs.names import FIELDS, ONE_SONG, SEVERAL_SONGS, check_targets, stem_paths, template_fields
from models.songs.report import print_outcome, summary, write_report
from models.songs.separate_song import Output

RECORD_VERSION = 1
"""Raised when the same network and options give other stems: what was made before is then made again."""


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
    keep_freed_memory()
    sums, wanted = chosen_sums(args)
    output = Output(args.format, sums, args.clip)
    if args.names:
        template_fields(args.names)  # before the network is loaded
    songs = list(dict.fromkeys(find_songs(args.inputs, args.out)))
    separator, facts, say_cost = _open(args, wanted)
    has_folder = any(path.is_dir() for path in args.inputs)
    template = args.names or (ONE_SONG if len(songs) == 1 and not has_folder else SEVERAL_SONGS)
    targets = _targets(songs, names_with_rest(separator.stems, sums), args.out, template, args.format)
    is_large = say_cost()
    key = result_key(facts, separator.stems, output)
    jobs = Jobs(separator, targets, output, args.out, key, args.jobs == 1 and (is_large or sys.stderr.isatty()))
    outcomes: list[Outcome] = []
    try:
        with contextlib.closing(jobs.run(args.jobs)) as done:
            for outcome in done:
                outcomes.append(outcome)
                print_outcome(outcome, str(output.clip))
    except (KeyboardInterrupt, SystemExit) as end:
        for path in jobs.unfinished:
            print(f"{path}: interrupted, none of its stems were written", file=sys.stderr)
        return 130 if isinstance(end, KeyboardInterrupt) else int(end.code or 0)
    finally:
        if args.report:
            write_report(args.report, key, outcomes)
    if has_folder:
        print(summary(outcomes))
    return 2 if any(outcome.status == FAILED for outcome in outcomes) else 0


def _open(
    args: argparse.Namespace, stems: list[str] | None
) -> tuple[ChannelSeparator, dict[str, Any], Callable[[], bool]]:
    """The separator that was asked for, what decides its stems, and what prints the cost of a large network.

    Raises:
        ValueError: a graph was asked for, and an option that only checkpoints have.
    """
    settings = parse_assignments(args.set)
    threads = args.threads or (None if args.jobs == 1 else max(1, num_cpus() // args.jobs))
    if args.onnx is None:
        from models.commands.separators import open_checkpoints

        return open_checkpoints(args, stems, settings, threads)
    from models.onnx.separator import OnnxSeparator

    for option, default in (("checkpoint", None), ("device", None), ("one_at_a_time", False), ("precision", "auto")):
        if getattr(args, option) != default:
            raise ValueError(f"--{option.replace('_', '-')} is for checkpoints: --onnx runs {args.onnx} on the CPU")
    separator = OnnxSeparator(args.onnx, stems, args.overlap, settings, threads)
    facts = {"model": separator.name, "settings": [dataclasses.asdict(separator.settings)], "precision": ["onnx"]}
    return separator, facts, lambda: False


def chosen_sums(args: argparse.Namespace) -> tuple[str | None, list[str] | None]:
    """What is done with the rest of the mixture, and the stems that the separator is to return (None: all).

    Raises:
        ValueError: options that exclude each other.
    """
    if args.two_stems:
        if args.stems:
            raise ValueError("--two-stems names the only stem: give it without --stems")
        return ACCOMPANIMENT, [args.two_stems]
    if args.sum_to_mix and args.stems:
        raise ValueError(
            "--sum-to-mix shares the rest out among all stems: give it without --stems, or take --residual"
        )
    return RESIDUAL if args.residual else SHARED if args.sum_to_mix else None, args.stems


def result_key(facts: Mapping[str, Any], stems: Sequence[str], output: Output) -> dict[str, Any]:
    """What decides the stems of a song: weights, settings and options, as json holds them. Not the device."""
    key = {"version": RECORD_VERSION, **facts, "stems": stems, "output": dataclasses.asdict(output)}
    return json.loads(json.dumps(key))


def _targets(
    songs: Sequence[Song], stems: Sequence[str], out: Path, template: str, sample_format: str
) -> dict[Song, dict[str, Path]]:
    """The stem files of each song; the songs' tags are read if the template names one."""
    has_tags = bool(template_fields(template) & (set(FIELDS) - {"song", "stem"}))
    targets = {
        song: stem_paths(
            song,
            stems,
            out,
            template,
            extension(sample_format),
            read_tags(song.path, with_cover=False) if has_tags else Tags(),
        )
        for song in songs
    }
    check_targets({song: paths.values() for song, paths in targets.items()})
    return targets


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
