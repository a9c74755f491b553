"""Command line of the search.

    python -m tuning run --preset small --grid model.bands=v4,v7 --grid model.hidden=64,128 --seeds 2 \\
        --budget minutes=10 --data DIR --out out/search
    python -m tuning run --preset tiny --space paper --budget steps=20 --dry-run
    python -m tuning report out/search
    python -m tuning merge out/one out/two --out out/both
    python -m tuning promote out/search --best --name better
    python -m tuning ablate tuning/ablation/ablation.yaml --data DIR --out out/ablation
"""

import argparse
import sys
from collections.abc import Sequence

from models.running.console import run_command
from tuning.arguments import (
    add_ablate_arguments,
    add_merge_arguments,
    add_promote_arguments,
    add_report_arguments,
    add_run_arguments,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and turn user errors into one line on stderr; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tuning", description="Search over band splits and network sizes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text, add_arguments, command in (
        ("run", "train the cells of a grid, or those that Optuna suggests", add_run_arguments, _run),
        ("report", "write csv, summary and plots of a search again", add_report_arguments, _report),
        ("merge", "join the trials of several searches", add_merge_arguments, _merge),
        ("promote", "make a preset and a checkpoint from a trial", add_promote_arguments, _promote),
        ("ablate", "train one change at a time, and make a table", add_ablate_arguments, _ablate),
    ):
        subparser = commands.add_parser(name, help=text)
        add_arguments(subparser)
        subparser.set_defaults(command=command)
    options = parser.parse_args(arguments)
    go_on = "; go on with --resume" if options.command is _run else ""
    return run_command(lambda: options.command(options), "tuning", f"tuning: interrupted{go_on}")


# A command's modules are imported when it runs: --help and a wrong argument answer without torch.


def _run(options: argparse.Namespace) -> int:
    from tuning.commands.run import run

    return run(options)


def _report(options: argparse.Namespace) -> int:
    from tuning.commands.report import report

    return report(options)


def _merge(options: argparse.Namespace) -> int:
    from tuning.commands.merge import merge

    return merge(options)


def _promote(options: argparse.Namespace) -> int:
    from tuning.commands.promote import promote_trial

    return promote_trial(options)


def _ablate(options: argparse.Namespace) -> int:
    from tuning.commands.ablate import ablate

    return ablate(options)


if __name__ == "__main__":
    sys.exit(main())
