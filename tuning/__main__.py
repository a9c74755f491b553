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
from pathlib import Path

from models.running import atomic
from models.running.arguments import check_at_least
from models.running.console import run_command
from models.running.folder_lock import sole_writer
from models.running.processors import num_cpus
from tuning.ablation.ablation import read_ablation, train_rows
from tuning.ablation.table import ablation_table
from tuning.commands import add_run_arguments, open_common_data, promote_trial, report, run
from tuning.space.grid import Cell


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and turn user errors into one line on stderr; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tuning", description="Search over band splits and network sizes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run_parser = commands.add_parser("run", help="train the cells of a grid, or those that Optuna suggests")
    run_parser.set_defaults(command=run)
    add_run_arguments(run_parser)
    report_parser = commands.add_parser("report", help="write csv, summary and plots of a search again")
    report_parser.set_defaults(command=report)
    report_parser.add_argument("dir", type=Path, metavar="DIR", help="folder of the search")
    promote_parser = commands.add_parser("promote", help="make a preset and a checkpoint of a trial")
    promote_parser.set_defaults(command=promote_trial)
    promote_parser.add_argument("dir", type=Path, metavar="DIR", help="folder of the search")
    which = promote_parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--best", action="store_true", help="of the cell with the best mean, the best seed")
    which.add_argument("--pareto-under", metavar="XGMAC", help="the best that costs at most so much, e.g. 2GMAC")
    which.add_argument("--trial", type=int, metavar="N", help="this one")
    promote_parser.add_argument("--name", help="of preset and checkpoint (default: the folder's)")
    ablate_parser = commands.add_parser("ablate", help="train one change at a time, and make a table")
    ablate_parser.set_defaults(command=ablate)
    ablate_parser.add_argument("file", type=Path, help="what is varied, see tuning/ablation/ablation.yaml")
    ablate_parser.add_argument("--data", nargs="+", required=True, type=Path, metavar="DIR", help="folders, or a pack")
    ablate_parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder of the runs; goes on there"
    )
    ablate_parser.add_argument("--seeds", type=int, default=1, metavar="N", help="runs of each row (default 1)")
    ablate_parser.add_argument("--jobs", type=int, default=num_cpus(), metavar="N", help="runs at once")
    options = parser.parse_args(arguments)
    go_on = "; go on with --resume" if options.command is run else ""
    return run_command(lambda: options.command(options), "tuning", f"tuning: interrupted{go_on}")


def ablate(options: argparse.Namespace) -> int:
    """Train the rows of an ablation file and write `table.md`; 1 if a run failed.

    Raises:
        ValueError: a file that does not hold, or another process that writes to the folder.
        FileNotFoundError: no file or no data.
    """
    for name in ("jobs", "seeds"):
        check_at_least(name, getattr(options, name), 1)
    rows = read_ablation(options.file)
    cells = [Cell(row.settings, row.preset) for row in rows]
    with sole_writer(options.out):
        pack = open_common_data(options.data, cells, options.out / "pack")
        runs = train_rows(rows, [pack.folder], options.out, options.jobs, options.seeds)
        table = ablation_table([row.name for row in rows], runs)
        atomic.write_text(options.out / "table.md", table)
    print(table, end="")
    return int(any(run.error for each in runs for run in each))


if __name__ == "__main__":
    sys.exit(main())
