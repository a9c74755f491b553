"""The command ``merge``: one search from several, without training anything again."""

import argparse
import shutil
from pathlib import Path

from models.running.folder_lock import LOCK, sole_writer
from tuning.commands.report import write_report
from tuning.space.extension import joined
from tuning.space.grid import format_overrides
from tuning.space.plan import Plan, read_plan
from tuning.trials.records import OUTCOME, Trial, read_outcome, read_trials, write_trial


def merge(options: argparse.Namespace) -> int:
    """Copy the trials of several searches into a new folder, with all their values and seeds in one plan.

    A trial that several of them hold is taken once, the one that came furthest. ``run --resume`` in the new folder
    trains what is missing between them.

    Raises:
        ValueError: fewer than two searches, ones that cannot be compared, or an output folder that is in use.
        FileNotFoundError: a folder holds no search.
    """
    if len(options.dirs) < 2:
        raise ValueError(f"expected two searches or more, got {options.dirs[0]} alone")
    plan = joined([read_plan(folder) for folder in options.dirs], options.dirs)
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise ValueError(f"--out: expected a new or empty folder, {options.out} holds files; choose another")
    chosen: dict[tuple[str, int], tuple[Path, Trial]] = {}
    for folder in options.dirs:
        for trial in read_trials(folder):
            key = format_overrides(trial.overrides), trial.seed
            if key not in chosen or _progress(folder / trial.name, plan) > _progress(chosen[key][0], plan):
                chosen[key] = folder / trial.name, trial
    with sole_writer(options.out):
        for number, (folder, trial) in enumerate(chosen.values()):
            copy = Trial(number, trial.overrides, trial.seed, trial.parameters, trial.gmacs_per_s)
            _copy(folder, options.out / copy.name)
            write_trial(options.out, copy)
        plan.save(options.out)  # last: without it the folder is no search
        print(f"{len(chosen)} trials of {len(options.dirs)} searches")
        write_report(options.out, plan)
    return 0


def _progress(folder: Path, plan: Plan) -> int:
    """2 for a trial that had the whole budget, 1 for one that had a smaller one before, else 0."""
    outcome = read_outcome(folder)
    return outcome.is_over + outcome.covers(plan.budget.amount)


def _copy(source: Path, target: Path) -> None:
    """A trial's folder, its outcome last: a copy without one is not finished."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(LOCK, OUTCOME, "*.part"))
    if (source / OUTCOME).exists():
        shutil.copy(source / OUTCOME, target)
