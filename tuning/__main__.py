"""Command line of the search.

    python -m tuning run --preset small --grid model.bands=v4,v7 --grid model.hidden=64,128 --seeds 2 \\
        --budget minutes=10 --data DIR --out out/search
    python -m tuning run --preset tiny --space paper --budget steps=20 --dry-run
    python -m tuning report out/search
    python -m tuning promote out/search --best --name better
    python -m tuning ablate tuning/ablation.yaml --data DIR --out out/ablation
"""

import argparse
import sys
from collections.abc import Sequence

from models.console import show_any_name
from tuning.arguments import add_ablate_arguments, add_promote_arguments, add_report_arguments, add_run_arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and turn user errors into one line on stderr; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tuning", description="Search over band splits and network sizes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text, add_arguments, command in (
        ("run", "train the cells of a grid, or those that Optuna suggests", add_run_arguments, _run),
        ("report", "write csv, summary and plots of a search again", add_report_arguments, _report),
        ("promote", "make a preset and a checkpoint of a trial", add_promote_arguments, _promote),
        ("ablate", "train one change at a time, and make a table", add_ablate_arguments, _ablate),
    ):
        subparser = commands.add_parser(name, help=text)
        add_arguments(subparser)
        subparser.set_defaults(command=command)
    options = parser.parse_args(arguments)
    show_any_name()
    try:
        return options.command(options)
    except (ValueError, OSError) as error:
        print(f"tuning: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        go_on = "; go on with --resume" if options.command is _run else ""
        print(f"tuning: interrupted{go_on}", file=sys.stderr)
        return 130


# A command's modules are imported when it runs: --help and a wrong argument answer without torch.


def _run(options: argparse.Namespace) -> int:
    from tuning.commands import run

    return run(options)


def _report(options: argparse.Namespace) -> int:
    from tuning.commands import report

    return report(options)


def _promote(options: argparse.Namespace) -> int:
    from tuning.commands import promote_trial

    return promote_trial(options)


def _ablate(options: argparse.Namespace) -> int:
    """Train the rows of an ablation file and write `table.md`; 1 if a run failed.

    Raises:
        ValueError: a file that does not hold, or another process that writes to the folder.
        FileNotFoundError: no file or no data.
    """
    from models.checkpoint import write_atomically
    from models.folder_lock import sole_writer
    from tuning.ablation import read_ablation, train_rows
    from tuning.ablation_table import ablation_table
    from tuning.commands import open_common_data
    from tuning.space import Cell

    for name in ("jobs", "seeds"):
        if getattr(options, name) < 1:
            raise ValueError(f"--{name}: expected at least 1, got {getattr(options, name)}")
    rows = read_ablation(options.file)
    cells = [Cell(row.settings, row.preset) for row in rows]
    with sole_writer(options.out):
        pack = open_common_data(options.data, cells, options.out / "pack")
        runs = train_rows(rows, [pack.folder], options.out, options.jobs, options.seeds)
        table = ablation_table([row.name for row in rows], runs)
        write_atomically(options.out / "table.md", lambda path: path.write_text(table, encoding="utf-8"))
    print(table, end="")
    return int(any(run.error for each in runs for run in each))


if __name__ == "__main__":
    sys.exit(main())
