"""The command ``run``: train the cells of a grid, or those that Optuna suggests."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from models.presets.preset import load_preset
from models.presets.settings import override, parse_assignments
from models.running.folder_lock import sole_writer
from models.training.validation import check_validation
from tuning.commands.common_data import open_common_data
from tuning.commands.report import write_report
from tuning.commands.run_checks import check_folder, check_room, check_states, ray_settings
from tuning.commands.trial_list import cost_of, list_trials, plan_cells
from tuning.space.budget import DECIDED, parse_budget
from tuning.space.extension import budgets_of, extended
from tuning.space.grid import Cell, join_grids, parse_grid, read_space
from tuning.space.plan import Plan, describe_pack, read_plan
from tuning.space.rungs import rungs_of
from tuning.trials.halving import HalvingSource
from tuning.trials.local import run_here
from tuning.trials.on_ray import RaySettings, run_on_ray
from tuning.trials.optuna_source import OptunaSource
from tuning.trials.order import GridSource, Maker, Source
from tuning.trials.progress import Progress
from tuning.trials.records import FAILED, read_outcome, read_trials
from tuning.trials.trial import TrialRunner


def run(options: argparse.Namespace) -> int:
    """Check the options, list the trials, run them, and write the results.

    Returns:
        The exit code: 1 if a trial failed.

    Raises:
        ValueError: an invalid option; no trial has started.
        FileNotFoundError: no data, or no search to resume.
        KeyboardInterrupt: Ctrl-C; the state of all trials is saved.
    """
    settings = ray_settings(options)
    if options.log:
        from tuning.analysis.trackers import check_tracker  # loads pandas

        check_tracker(options.log)
    device = "cuda" if settings.gpus else "cpu"
    changes = parse_assignments(options.set)
    if decided := [name for name in changes if name in DECIDED]:
        raise ValueError(f"--set: expected another setting, got {decided[0]}, which --budget determines")
    preset = override(load_preset(options.preset), changes)
    grid = join_grids([read_space(name) for name in options.space], parse_grid(options.grid))
    plan = Plan(
        options.preset,
        preset,
        grid,
        parse_budget(options.budget),
        options.metric,
        options.seeds,
        options.scheduler,
        options.search,
        options.trials,
        options.validations,
        device,
        "",
        tuple(sys.argv[1:]),
        options.eta,
        options.rungs,
        objectives=tuple(options.objectives.split(",")),
    )
    cells, rejections = plan_cells(preset, grid, plan.budget, device)
    plan.check_metric(cells)
    if not options.dry_run:
        check_folder(options)
    costs = list_trials(plan, cells, rejections)
    if options.dry_run:
        return 0
    out = options.out.resolve()
    check_room(out, costs, plan, settings)
    out.mkdir(parents=True, exist_ok=True)
    with sole_writer(out):
        check_folder(options)  # again: another search may have begun and ended there since
        return _run(plan, cells, costs, options, settings, out)


def _run(
    plan: Plan,
    cells: Sequence[Cell],
    costs: Sequence[tuple[int, float]],
    options: argparse.Namespace,
    settings: RaySettings,
    out: Path,
) -> int:
    pack = open_common_data([root.resolve() for root in options.data], cells, out / "pack")
    for stems in {cell.preset.model.stems for cell in cells}:
        check_validation(pack, stems, plan.metric)
    plan = Plan(**{**vars(plan), "data": describe_pack(pack)})
    if options.resume:
        plan = replace(plan, earlier=read_plan(out).earlier)
        plan.check_same(read_plan(out), out)
    elif options.extend:
        plan = extended(plan, read_plan(out), out)
        check_states(plan, out)
    if not options.resume:
        plan.save(out)
    source, rungs = _source(plan, cells, Maker(cells, costs, plan.seed_numbers, out, plan.budget.amount))
    runner = TrialRunner(
        plan.preset,
        plan.budget,
        plan.metric,
        pack.folder.resolve(),
        out,
        plan.device,
        options.cpus_per_trial,
        plan.validations,
        tuple(budgets_of(plan)[:-1]),
        rungs,
    )
    progress = Progress(source.total, plan.budget.amount, _used_shares(plan, out))
    try:
        if options.backend == "local":
            run_here(runner, source, progress.reached, progress.ended)
        else:
            run_on_ray(runner, source, settings, progress.reached, progress.ended)
    except (KeyboardInterrupt, InterruptedError):
        pass  # unfinished trials are found below
    finally:
        progress.close()
    statuses = [read_outcome(out / trial.name).status for trial in read_trials(out)]
    if statuses:
        write_report(out, plan, options.log)
    if not source.is_complete:
        raise KeyboardInterrupt
    return int(FAILED in statuses)


def _source(plan: Plan, cells: Sequence[Cell], maker: Maker) -> tuple[Source, tuple[float, ...]]:
    """The trials of a plan in their order, and the amounts of its rungs."""
    if plan.search == "optuna":
        find = _finder(plan, maker) if plan.is_open else None
        seed = plan.preset.train.seed
        return OptunaSource(cells, maker, plan.grid, plan.trials, seed, plan.objectives, find), ()
    if plan.scheduler != "halving":
        return GridSource(cells, maker), ()
    rungs = tuple(rungs_of(plan, len(cells)))
    return HalvingSource(cells, maker, rungs, plan.eta), rungs


def _finder(plan: Plan, maker: Maker) -> Callable[[Mapping[str, str]], Cell | None]:
    """Makes cells of a grid with ranges, and tells the maker what they cost."""

    def find(settings: Mapping[str, str]) -> Cell | None:
        try:
            cells, _ = plan_cells(
                plan.preset, {key: (value,) for key, value in settings.items()}, plan.budget, plan.device
            )
        except ValueError:
            return None
        maker.add_cost(cells[0], *cost_of(cells[0]))
        return cells[0]

    return find


def _used_shares(plan: Plan, out: Path) -> dict[int, float]:
    """The share of its budget that each trial has used whose part is over."""
    outcomes = {trial.index: read_outcome(out / trial.name) for trial in read_trials(out)}
    return {
        index: 1.0 if outcome.until is None else outcome.until / plan.budget.amount
        for index, outcome in outcomes.items()
        if outcome.is_over
    }
