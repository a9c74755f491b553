"""Command line of the search.

    python -m tuning run --preset small --grid model.bands=v4,v7 --grid model.hidden=64,128 --seeds 2 \\
        --budget minutes=10 --data DIR --out out/search
    python -m tuning run --preset tiny --space paper --budget steps=20 --dry-run
    python -m tuning report out/search
    python -m tuning promote out/search --best --name better
    python -m tuning ablate tuning/ablation/ablation.yaml --data DIR --out out/ablation
"""

import argparse
import sys
from collections.abc import Sequence

from models.running.console import run_command
from tuning.commands.ablate import ablate, add_ablate_arguments
from tuning.commands.promote import add_promote_arguments, promote_trial
from tuning.commands.report import add_report_arguments, report
from tuning.commands.run import add_run_arguments, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and turn user errors into one line on stderr; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tuning", description="Search over band splits and network sizes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text, add_arguments, command in (
        ("run", "train the cells of a grid, or those that Optuna suggests", add_run_arguments, run),
        ("report", "write csv, summary and plots of a search again", add_report_arguments, report),
        ("promote", "make a preset and a checkpoint from a trial", add_promote_arguments, promote_trial),
        ("ablate", "train one change at a time, and make a table", add_ablate_arguments, ablate),
    ):
        subparser = commands.add_parser(name, help=text)
        add_arguments(subparser)
        subparser.set_defaults(command=command)
    options = parser.parse_args(arguments)
    go_on = "; go on with --resume" if options.command is run else ""
    return run_command(lambda: options.command(options), "tuning", f"tuning: interrupted{go_on}")


if __name__ == "__main__":
    sys.exit(main())
