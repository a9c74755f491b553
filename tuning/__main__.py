"""Command line of the search.

    python -m tuning run --preset small --grid model.bands=v4,v7 --grid model.hidden=64,128 \\
        --budget minutes=10 --data DIR --out out/search --dry-run
    python -m tuning ablate tuning/ablation.yaml --data DIR --out out/ablation
"""

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from models.checkpoint import write_atomically
from models.config import override
from models.preset import load_preset
from models.training.packs import open_data
from tuning.ablation import ablation_table, read_ablation, train_rows
from tuning.search import Outcome, TrainTrial, run_trials
from tuning.space import Cell, expand, format_overrides, parse_budget, parse_grid


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and turn user errors into one line on stderr; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tuning", description="Search over band splits and network sizes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run_parser = commands.add_parser("run", help="train every cell of a grid")
    run_parser.set_defaults(command=run)
    run_parser.add_argument("--preset", default="small", help="preset name or yaml file that the grid varies")
    run_parser.add_argument("--grid", action="append", required=True, metavar="KEY=A,B", help="values of one setting")
    run_parser.add_argument("--budget", required=True, metavar="minutes=M|steps=N", help="what each trial may spend")
    run_parser.add_argument("--data", nargs="+", required=True, type=Path, metavar="DIR", help="folders, or a pack")
    run_parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="new folder for trials and results")
    run_parser.add_argument("--cpus-per-trial", type=int, default=1, metavar="N", help="torch threads of a trial")
    run_parser.add_argument("--dry-run", action="store_true", help="only list the trials")
    ablate_parser = commands.add_parser("ablate", help="train one change at a time, and make a table")
    ablate_parser.set_defaults(command=ablate)
    ablate_parser.add_argument("file", type=Path, help="what is varied, see tuning/ablation.yaml")
    ablate_parser.add_argument("--data", nargs="+", required=True, type=Path, metavar="DIR", help="folders, or a pack")
    ablate_parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder of the runs; goes on there"
    )
    ablate_parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="rows at once")
    options = parser.parse_args(arguments)
    try:
        return options.command(options)
    except (ValueError, OSError) as error:
        print(f"tuning: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tuning: interrupted", file=sys.stderr)
        return 130


def run(options: argparse.Namespace) -> int:
    """Check everything, list the trials, train them, and write `trials.csv`; 1 if a trial failed.

    Raises:
        ValueError: a grid, budget or preset that does not hold, or an output folder that holds something already.
        FileNotFoundError: no data.
    """
    num_cpus = os.cpu_count() or 1
    if not 1 <= options.cpus_per_trial <= num_cpus:
        raise ValueError(f"--cpus-per-trial: expected 1 to {num_cpus}, got {options.cpus_per_trial}")
    if options.out.exists() and any(options.out.iterdir()):
        raise ValueError(f"--out: expected a new or empty folder, {options.out} holds something; choose another")
    preset = override(load_preset(options.preset), parse_budget(options.budget))
    cells, rejections = expand(preset, parse_grid(options.grid))
    for rejection in rejections:
        print(f"left out: {format_overrides(rejection.overrides)}: {rejection.reason}")
    print(f"{len(cells)} trials, {options.budget} each")
    for index, cell in enumerate(cells):
        print(f"{index:4d}  {count_parameters(cell) / 1e6:8.3f} M  {cell.name}")
    if options.dry_run:
        return 0
    out = options.out.resolve()
    pack = open_common_data([root.resolve() for root in options.data], cells, out / "pack")
    num_gpus = min(torch.cuda.device_count(), 1)
    trial = TrainTrial(tuple(cell.preset for cell in cells), pack, out, "cuda" if num_gpus else "cpu")
    outcomes = run_trials(trial, len(cells), out, options.cpus_per_trial, num_gpus)
    write_results(out / "trials.csv", cells, outcomes)
    print(f"wrote {options.out / 'trials.csv'}")
    if any(outcome.status == "stopped" for outcome in outcomes):
        raise KeyboardInterrupt  # Ray Tune takes it for itself and ends early
    return int(any(outcome.status == "failed" for outcome in outcomes))


def ablate(options: argparse.Namespace) -> int:
    """Train the rows of an ablation file and write `table.md`.

    Raises:
        ValueError: a file that does not hold, or a row that failed.
        FileNotFoundError: no file or no data.
    """
    if options.jobs < 1:
        raise ValueError(f"--jobs: expected at least 1, got {options.jobs}")
    rows = read_ablation(options.file)
    cells = [Cell(row.settings, row.preset) for row in rows]
    pack = open_common_data(options.data, cells, options.out / "pack")
    table = ablation_table(rows, train_rows(rows, [pack], options.out, options.jobs))
    write_atomically(options.out / "table.md", lambda path: path.write_text(table, encoding="utf-8"))
    print(table, end="")
    return 0


def open_common_data(roots: Sequence[Path], cells: Sequence[Cell], cache: Path) -> Path:
    """The folder of a pack that serves every cell: the one given, or one made out of data folders.

    Raises:
        ValueError: cells ask for different stems or rates, or for others than the pack's; or unusable data.
        FileNotFoundError: no data.
    """
    needs = {(cell.preset.data.sources, cell.preset.model.sample_rate) for cell in cells}
    if len(needs) > 1:
        raise ValueError("--grid: data.sources and model.sample_rate must be one for all trials; search each by itself")
    sources, sample_rate = needs.pop()
    return open_data(roots, cache, sources, sample_rate).folder


def count_parameters(cell: Cell) -> int:
    """Parameters of a cell's network, without allocating them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in cell.preset.build_network().parameters())


def write_results(path: Path, cells: Sequence[Cell], outcomes: Sequence[Outcome]) -> None:
    """One row for each trial: what it overrides, its parameters, every number it reported last, and its status."""
    rows = []
    for index, (cell, outcome) in enumerate(zip(cells, outcomes, strict=True)):
        row = {"trial": index, **cell.overrides, "parameters": count_parameters(cell), **outcome.metrics}
        rows.append({**row, "status": outcome.status, "error": outcome.error})
    columns = list(dict.fromkeys(column for row in rows for column in row if column not in ("status", "error")))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*columns, "status", "error"], restval="")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
