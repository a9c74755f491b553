"""The command ``report``: csv, summary, page and plots of a search."""

import argparse
from pathlib import Path

from tuning.space.plan import Plan, read_plan


def report(options: argparse.Namespace) -> int:
    """Write csv, summary, page and plots from the trials that a search's folder holds now.

    Raises:
        FileNotFoundError: the folder holds no search.
        ValueError: ``--at`` is not a part of the budget, the tracker of ``--log`` is unknown or not installed, or no
            trial has begun.
    """
    if options.at is not None and options.log:
        raise ValueError("--log: expected no --at, which writes a summary alone; leave one out")
    if options.at is not None:
        from tuning.analysis.summary import write_summary_at

        print(f"wrote {write_summary_at(options.dir, read_plan(options.dir), options.at)}")
        return 0
    if options.log:
        from tuning.analysis.trackers import check_tracker

        check_tracker(options.log)
    write_report(options.dir, read_plan(options.dir), options.log)
    return 0


def write_report(out: Path, plan: Plan, tracker: str | None = None) -> None:
    """Write the tables, ``summary.md``, ``report.html`` and the plots, and log trials to a tracker.

    If a package for them is missing, print what to do.
    """
    try:
        from tuning.analysis.extrapolation import read_curves
        from tuning.analysis.plots import write_plots
        from tuning.analysis.results import compare, read_results, write_csv
        from tuning.analysis.summary import SUMMARY, write_summary
        from tuning.analysis.trackers import log_trials, write_hparams
        from tuning.page.build import write_page

        table = read_results(out)
        comparison = compare(out, table, plan)
        write_csv(out, table, comparison)
        write_summary(out, table, comparison, plan)
        write_plots(out, comparison, plan)
        summary = (out / SUMMARY).read_text(encoding="utf-8")
        write_page(out, comparison, read_curves(out, table, plan), plan, summary)
        write_hparams(out, table, plan)
        if tracker:
            print(f"{log_trials(out, table, plan, tracker)} trials to {tracker}")
    except ModuleNotFoundError as error:
        print(f"{out}: no tables were written: {error.name} is not installed; install it, then run")
        print(f"python -m tuning report {out}")
        return
    print(f"wrote trials.csv, summary.md, report.html and plots in {out}")
