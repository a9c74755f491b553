"""Compare systems on the same tracks.

The real run, and a toy one of a few seconds on the excerpt that stempeg ships:

    python -m benchmark run --data ~/musdb18 --split test --systems bsrnn,demucs,openunmix --out out/musdb18
    python -m benchmark run --systems mixture,oracle --out out/toy

`python -m benchmark install spleeter` makes the Python environment for Spleeter.
`python -m benchmark separate SONG --systems demucs,spleeter --out out/songs` separates songs without stems.
`python -m benchmark score out/musdb18` scores the estimates that `run --keep-estimates flac` stored again.
`python -m benchmark compare out/r:SYSTEM out/r:SYSTEM` compares two systems, or two runs, track by track.
`python -m benchmark report out/musdb18` makes a page of a run, with players and plots, that opens offline.
`python -m benchmark speed` times the shipped checkpoint, and Open-Unmix, HTDemucs and SCNet at official sizes.
`python -m benchmark training-speed --data packs/musdb --preset small` times training steps.
`python -m benchmark scorer-speed` times our BSSEval and museval.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.arguments import (
    add_compare,
    add_degrade,
    add_keep_and_metrics,
    add_score,
    add_separate,
    add_systems,
    add_training_speed,
)
from models.running.arguments import positive
from models.running.console import run_command
from models.running.processors import num_cpus

if TYPE_CHECKING:
    from benchmark.runs.store import Failure


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (1: something failed, 2: wrong input, 130: interrupted)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    args = _parser().parse_args(arguments)
    args.typed = shlex.join(["python", "-m", "benchmark", *arguments])
    commands = {
        "run": _run,
        "separate": _separate,
        "score": _score,
        "compare": _compare,
        "report": _report,
        "speed": _speed,
        "training-speed": _training_speed,
        "scorer-speed": _scorer_speed,
        "install": _install,
    }
    finished = {"run": "tracks", "separate": "songs"}.get(args.command)
    kept = f": finished {finished} are in {args.out}, the same command continues" if finished else ""
    return run_command(lambda: commands[args.command](args), "benchmark", f"\ninterrupted{kept}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="separate and score tracks with several systems, and print the tables")
    run.add_argument("--data", help="data set, or one *.stem.mp4 (default: MUSDB_PATH, else the excerpt of stempeg)")
    run.add_argument("--split", default="test", choices=("train", "valid", "test", "all"), help="default: test")
    add_systems(run, "bsrnn,demucs,openunmix", "mixture, oracle (both are always added), oracle:ibm, oracle:mwf, ")
    run.add_argument(
        "--estimates",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="score DIR/TRACK/STEM.wav (or flac, ogg) under that name; may be given again",
    )
    run.add_argument(
        "--out",
        required=True,
        type=Path,
        help="folder for the results; stored ones are reused if system, music, our code and its packages are the same",
    )
    run.add_argument("--limit", type=positive, metavar="N", help="only the first N tracks")
    run.add_argument(
        "--threads", type=positive, metavar="N", help="CPU threads of each system (default: all, shared by the jobs)"
    )
    run.add_argument(
        "--jobs", type=positive, metavar="N", help="pairs of a system and a track at a time, as Ray tasks (default: 1)"
    )
    run.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="run on this Ray cluster, or `auto`; its machines need the same checkout, data and --out at the same paths"
        " (then the default of --jobs is as many as its CPUs allow)",
    )
    run.add_argument("--museval", action="store_true", help="score with museval: the same figures, but slower")
    run.add_argument("--device", default="cpu", help="where the systems run: cpu, cuda, ... (default: cpu)")
    run.add_argument("--demucs", metavar="NAME_OR_FOLDER", help="the system that `demucs` in --systems means")
    run.add_argument("--openunmix", metavar="NAME_OR_FOLDER", help="the system that `openunmix` in --systems means")
    add_degrade(run)
    add_keep_and_metrics(run)
    add_separate(commands)
    add_score(commands)
    add_compare(commands)
    speed = commands.add_parser("speed", help="time the shipped checkpoint, and other systems at their official sizes")
    speed.add_argument("--checkpoint", default="small", help="name or folder (default: small)")
    speed.add_argument("--seconds", type=positive, default=30, metavar="S", help="length of the audio (default: 30)")
    speed.add_argument("--repeats", type=positive, default=5, metavar="N", help="runs of each system (default: 5)")
    speed.add_argument("--threads", type=positive, metavar="N", help="CPU threads (default: all)")
    speed.add_argument("--device", default="cpu", help="where the systems run: cpu, cuda, ... (default: cpu)")
    add_training_speed(commands)
    scorers = commands.add_parser("scorer-speed", help="time our BSSEval and museval's, and compare their scores")
    scorers.add_argument("--data", help="data set (default: MUSDB_PATH, else the excerpt of stempeg)")
    scorers.add_argument("--limit", type=positive, default=3, metavar="N", help="test tracks (default: 3)")
    scorers.add_argument("--seconds", type=positive, metavar="S", help="only the first S of each (default: all)")
    scorers.add_argument("--repeats", type=positive, default=3, metavar="N", help="runs of each (default: 3)")
    scorers.add_argument("--threads", type=positive, metavar="N", help="threads of ours (default: all)")
    install = commands.add_parser("install", help="make the Python environment that a system needs (uses pip)")
    install.add_argument("system", choices=("spleeter",), help="which system")
    report = commands.add_parser("report", help="make one HTML page of a run, with players and plots")
    report.add_argument("folder", type=Path, metavar="DIR", help="the --out folder of a run")
    report.add_argument("--out", type=Path, metavar="FILE", help="the page (default: DIR/report.html)")
    report.add_argument(
        "--tracks",
        nargs="+",
        default=[],
        metavar="NAME",
        help="tracks whose audio goes into the page, by name or part of a name, or all (default: the worst and best of"
        " our systems)",
    )
    report.add_argument(
        "--audio-beside",
        action="store_true",
        help="put the audio of all tracks or of --tracks into the folder PAGE-audio beside the page, for a web server",
    )
    return parser


def _usable_device(name: str) -> str:
    if name != "cpu":
        import torch

        try:
            torch.zeros(1, device=name).item()
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise ValueError(f"--device: this machine has no {name!r}; expected cpu, or cuda with a GPU") from error
    return name


def _report(args: argparse.Namespace) -> int:
    from benchmark.page.build import write_report

    print(write_report(args.folder, args.out, args.tracks, args.audio_beside).describe())
    return 0


def _speed(args: argparse.Namespace) -> int:
    from benchmark.timing.speed import measure_speed, render_speed, speed_systems

    threads = args.threads or num_cpus()
    device = _usable_device(args.device)
    systems = speed_systems(args.checkpoint, device)
    timings = measure_speed(systems, args.seconds, args.repeats, threads, device)
    print(render_speed(timings, args.seconds, threads))
    return 0


def _training_speed(args: argparse.Namespace) -> int:
    import tempfile

    from benchmark.timing.training_speed import measure_training, parse_setup, render_training
    from models.tracks import STEMS
    from models.training.data.packs import open_data

    setups = {text: parse_setup(text) for text in args.preset}
    threads, device = args.threads or num_cpus(), _usable_device(args.device)
    with tempfile.TemporaryDirectory() as cache:
        pack = open_data(args.data, Path(cache) / "pack", STEMS, next(iter(setups.values())).model.sample_rate)
        timings = measure_training(setups, pack, args.steps, threads, device, bool(args.operators))
    print(render_training(timings, threads, device, args.operators or 0))
    return 0


def _scorer_speed(args: argparse.Namespace) -> int:
    from benchmark.timing.scorer_speed import measure_scorers, render_scorers
    from models.tracks import default_data_root, open_tracks

    root, message = default_data_root(args.data)
    print(message)
    tracks = open_tracks(root, "test")[: args.limit]
    if not tracks:
        raise ValueError(f"no test tracks in {root}")
    threads = args.threads or num_cpus()
    print("\n" + render_scorers(measure_scorers(tracks, args.repeats, threads, args.seconds), threads))
    return 0


def _install(args: argparse.Namespace) -> int:
    from benchmark.workers.spleeter_install import install

    print(install())
    return 0


def _run(args: argparse.Namespace) -> int:
    from benchmark.api import make_settings, run_sources
    from benchmark.degradations.degradation import parse_degradations
    from benchmark.systems.catalog import parse_systems, resolve_all
    from models.tracks import default_data_root, open_tracks

    degradations = parse_degradations(args.degrade) if args.degrade else []
    names = parse_systems(args.systems, args.demucs, args.openunmix)
    root, message = default_data_root(args.data)
    print(message)
    tracks = open_tracks(root, args.split)[: args.limit]
    if not tracks:
        raise ValueError(f"--split {args.split}: no such tracks in {root}; try another split")
    sources = resolve_all(names, args.estimates, args.system, args.download)
    jobs = args.jobs or 1
    threads = args.threads or max(1, num_cpus() // jobs)
    scorer = "museval" if args.museval else "bandsplit"
    device = args.device if args.address else _usable_device(args.device)
    settings = make_settings(device, threads, args.metrics, args.keep_estimates, scorer)
    where = (args.out, settings, root, args.split, args.jobs, args.address, args.typed)
    run = run_sources(sources, tracks, *where, degradations=degradations)
    print("\n" + run.table)
    print(f"written: {args.out / 'table.md'}, {args.out / 'scores.csv'}")
    return _describe_failures(run.failures)


def _separate(args: argparse.Namespace) -> int:
    from benchmark.songs import separate_songs
    from benchmark.systems.catalog import parse_systems, resolve_all
    from models.songs.separate_song import Output

    sources = resolve_all(parse_systems(args.systems), python=args.system, download=args.download)
    output, device = Output(args.format, clip=args.clip), _usable_device(args.device)
    return 2 if separate_songs(sources, args.inputs, args.out, output, device, args.threads or num_cpus()) else 0


def _score(args: argparse.Namespace) -> int:
    from benchmark.runs.record import read_record
    from benchmark.runs.rescore import score_again
    from benchmark.scoring.metrics import parse_metrics
    from benchmark.tables.report import write
    from models.tracks import default_data_root, open_tracks

    metrics = parse_metrics(args.metrics)
    root, message = default_data_root(args.data or read_record(args.folder).root or None)
    print(message)
    threads = args.threads or num_cpus()
    record, results = score_again(args.folder, open_tracks(root, "all"), metrics, threads, args.frame)
    print("\n" + write(args.folder, results, record.failures, record.data, len(record.tracks)))
    print(f"written: {args.folder / 'table.md'}, {args.folder / 'scores.csv'}")
    return _describe_failures(record.failures)


def _compare(args: argparse.Namespace) -> int:
    from benchmark.tables.compare import WORSE, compare_sides
    from benchmark.tables.forest import describe, draw_forest

    found = compare_sides(args.first, args.second, args.metric, args.margin)
    print("\n\n".join(map(describe, found)))
    if args.plot:
        draw_forest(found, args.plot)
        print(f"written: {args.plot}")
    return 1 if any(compared.gate.verdict == WORSE for compared in found) else 0


def _describe_failures(failures: "Sequence[Failure]") -> int:
    for failure in failures:
        print(f"failed: {failure.system}, {failure.track or 'every track left'}: {failure.reason}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
