"""Check a submission before the push as the MDX-23 grader does, and build the repository to push.

python -m submission check                  # pre-flight, under a minute
python -m submission evaluate --data ~/musdb18 --split test --limit 5
python -m submission package --out out/pkg
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from models.running.arguments import positive
from models.running.console import run_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (1: it would be rejected, 2: wrong input, 130: interrupted)."""
    args = _parser().parse_args(arguments)
    kept = f": finished tracks are in {args.out}, the same command continues" if args.command == "evaluate" else ""
    return run_command(lambda: args.run(args), "submission", f"\ninterrupted{kept}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m submission", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    which = "a package, or a Bandsplit repository (default: this one)"

    check = commands.add_parser("check", help="find what would fail or score low, in under a minute")
    check.add_argument("submission", nargs="?", type=Path, help=which)
    check.set_defaults(run=_check)

    evaluate = commands.add_parser("evaluate", help="run and score it as the grader does, track by track")
    evaluate.add_argument("submission", nargs="?", type=Path, help=which)
    evaluate.add_argument("--data", help="data set, or one *.stem.mp4 (default: MUSDB_PATH, else stempeg's excerpt)")
    evaluate.add_argument("--split", default="test", choices=("train", "valid", "test", "all"), help="default: test")
    evaluate.add_argument(
        "--one-process",
        action="store_true",
        help="all tracks in one process, as in the kit's own evaluator",
    )
    evaluate.add_argument("--limit", type=positive, metavar="N", help="only the first N tracks")
    evaluate.add_argument(
        "--out", type=Path, default=Path("out/evaluate"), help="folder for the results (default: %(default)s)"
    )
    evaluate.set_defaults(run=_evaluate)

    package = commands.add_parser("package", help="build the repository to push")
    package.add_argument("--out", required=True, type=Path, help="folder to make")
    package.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        metavar="NAME_OR_FOLDER",
        help="weights to ship instead of the default; several checkpoints make an ensemble, stem by stem; or an"
        " ensemble's .yaml of `models ensemble`",
    )
    package.add_argument(
        "--board",
        choices=("A", "B", "C"),
        help="the leaderboard that it is for, A (label noise), B (bleeding) or C (all): sets the data flags, and"
        " refuses weights that were trained on what the board forbids",
    )
    package.set_defaults(run=_package)
    return parser


def _check(args: argparse.Namespace) -> int:
    from models.running.repository import ROOT
    from submission.preflight.check import check, render

    findings, notes = check(args.submission or ROOT)
    print(render(findings, notes))
    return 1 if findings else 0


def _evaluate(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from models.running.repository import ROOT
    from models.tracks import default_data_root, open_tracks
    from submission.grader.evaluate import evaluate
    from submission.grader.report import is_rejected, render
    from submission.sandbox.run import network_barrier

    root, message = default_data_root(args.data)
    print(message)
    tracks = open_tracks(root, args.split)[: args.limit]
    if not tracks:
        raise ValueError(f"--split {args.split}: no such tracks in {root}; try another split")
    with tqdm(total=len(tracks), unit="track", dynamic_ncols=True) as bar:
        results = evaluate(
            args.submission or ROOT, tracks, args.out, tell=lambda result: bar.update(1), one_process=args.one_process
        )
    print("\n" + render(results, network_barrier(), f"{root.name}, split {args.split}"))
    return 1 if is_rejected(results) else 0


def _package(args: argparse.Namespace) -> int:
    from models.running.repository import ROOT
    from submission.package.build import package

    package(ROOT, args.out, args.checkpoint, args.board)
    print(f"written: {args.out}; next: python -m submission check {args.out}, then {args.out / 'SUBMIT.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
