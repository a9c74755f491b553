"""The command ``refine``: train on dirty stems, clean them by what was learnt, and train again on what is left.

python -m models refine --preset tiny --data dirty --out runs/refined --minutes 60
"""

import argparse
from collections.abc import Callable

from models.arguments import add_clean_arguments, add_train_arguments
from models.commands import clean, train
from models.training.record.run_folder import BEST, STATE


def run(args: argparse.Namespace) -> int:
    """Do what is not done yet: `train-0`, `clean-1`, `train-1` and so on, folders in ``--out``.

    Every cleaning begins with the data as they were given, so that a better model can undo what a younger one decided.
    """
    if not 0 < args.minutes < float("inf"):
        raise ValueError(f"--minutes: expected minutes above 0, got {args.minutes}")
    if args.rounds < 1:
        raise ValueError(f"--rounds: expected at least 1, got {args.rounds}")
    settings = [f"train.minutes={args.minutes}", *args.set]
    fixed = [part for setting in settings for part in ("--set", setting)]
    threads = [] if args.threads is None else ["--threads", str(args.threads)]
    strictness = ["--stretch-s", str(args.stretch_s), "--worst", str(args.worst)]
    data = list(args.data)
    for index in range(args.rounds + 1):
        folder = args.out / f"train-{index}"
        resume = ["--resume"] if (folder / STATE).is_file() else []
        options = ["--preset", args.preset, "--device", args.device, *threads, *fixed, *resume]
        arguments = ["--data", *data, "--out", str(folder), *options]
        if status := _run(add_train_arguments, train.run_train, arguments):
            return status
        if index < args.rounds:
            cleaned = args.out / f"clean-{index + 1}"
            options = ["--checkpoint", str(folder / BEST), "--device", args.device, *strictness]
            arguments = ["--data", *args.data, "--out", str(cleaned), *options]
            if status := _run(add_clean_arguments, clean.run, arguments):
                return status
            data = [str(cleaned)]
    return 0


def _run(
    add_arguments: Callable[[argparse.ArgumentParser], None],
    run_command: Callable[[argparse.Namespace], int],
    arguments: list[str],
) -> int:
    """Run another command; returns its exit code."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run_command(parser.parse_args(arguments))
