"""The command ``report``: csv, summary and plots of a search."""

import argparse
from pathlib import Path

from tuning.space.plan import Plan, read_plan


def report(options: argparse.Namespace) -> int:
    """Write csv, summary and plots from the trials that a search's folder holds now.

    Raises:
        FileNotFoundError: the folder holds no search.
    """
    write_report(options.dir, read_plan(options.dir))
    return 0


def write_report(out: Path, plan: Plan) -> None:
    """Write ``trials.csv``, ``summary.md`` and the plots; print what to do if a package for them is missing."""
    try:
        from tuning.analysis.plots import write_plots
        from tuning.analysis.results import compare, read_results, write_csv
        from tuning.analysis.summary import write_summary

        table = read_results(out)
        comparison = compare(out, table, plan)
        write_csv(out, table, comparison)
        write_summary(out, table, comparison, plan)
        write_plots(out, comparison, plan)
    except ModuleNotFoundError as error:
        print(f"{out}: no tables were written: {error.name} is not installed; install it, then run")
        print(f"python -m tuning report {out}")
        return
    print(f"wrote trials.csv, summary.md and plots in {out}")
