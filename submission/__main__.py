"""Find out before the push what the MDX-23 grader would find, and build the repository to push.

python -m submission check                  # pre-flight, under a minute
python -m submission evaluate --data ~/musdb18 --split test --limit 5
python -m submission package --out out/pkg
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from models.console import show_any_name


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (1: it would be rejected, 2: wrong input, 130: interrupted)."""
    args = _parser().parse_args(arguments)
    show_any_name()
    try:
        return args.run(args)
    except (ValueError, OSError) as error:
        print(f"submission: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = f": finished tracks are in {args.out}, the same command goes on" if args.command == "evaluate" else ""
        print(f"\ninterrupted{kept}", file=sys.stderr)
        return 130


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
        help="all tracks in one process, as the kit's own evaluator does",
    )
    evaluate.add_argument("--limit", type=_positive, metavar="N", help="only the first N tracks")
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
        help="weights to ship instead of the default; given several times, they are an ensemble, stem by stem;"
        " or an ensemble's .yaml of `models ensemble`",
    )
    package.set_defaults(run=_package)
    return parser


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return value


def _check(args: argparse.Namespace) -> int:
    from submission.check import check, render
    from submission.package import SOURCE

    findings, notes = check(args.submission or SOURCE)
    print(render(findings, notes))
    return 1 if findings else 0


def _evaluate(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from models.tracks import default_data_root, open_tracks
    from submission.evaluate import evaluate
    from submission.isolation import network_barrier
    from submission.package import SOURCE
    from submission.report import is_rejected, render

    root, message = default_data_root(args.data)
    print(message)
    tracks = open_tracks(root, args.split)[: args.limit]
    if not tracks:
        raise ValueError(f"--split {args.split}: no such tracks in {root}; try another split")
    with tqdm(total=len(tracks), unit="track", dynamic_ncols=True) as bar:
        results = evaluate(
            args.submission or SOURCE, tracks, args.out, tell=lambda result: bar.update(1), one_process=args.one_process
        )
    print("\n" + render(results, network_barrier(), f"{root.name}, split {args.split}"))
    return 1 if is_rejected(results) else 0


def _package(args: argparse.Namespace) -> int:
    from submission.package import SOURCE, package

    package(SOURCE, args.out, args.checkpoint)
    print(f"written: {args.out}; next: python -m submission check {args.out}, then {args.out / 'SUBMIT.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
