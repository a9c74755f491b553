"""The commands ``run``, ``report`` and ``promote``."""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from models.config import override, parse_assignments
from models.folder_lock import LOCK, sole_writer
from models.macs import count_parameters, gmacs_per_second
from models.preset import Preset, load_preset
from models.training.packs import Pack, open_data
from models.training.validation import check_validation
from tuning.budget import Budget, parse_budget
from tuning.local_backend import run_here
from tuning.plan import PLAN, Plan, describe_pack, read_plan
from tuning.progress import Progress
from tuning.promote import choose, parse_gmacs, promote
from tuning.ray_backend import RaySettings, run_on_ray
from tuning.source import GridSource, Maker, OptunaSource, Source
from tuning.space import (
    Cell,
    Grid,
    Rejection,
    check_values,
    expand,
    format_overrides,
    join_grids,
    parse_grid,
    read_space,
)
from tuning.trial import FAILED, UNFINISHED, TrialRunner, read_outcome, read_trials

KEPT_BYTES, RUNNING_BYTES = 6, 72
"""Of disk for each parameter of a trial: the weights that stay; state, Ray's copy of it and their successors."""


def run(options: argparse.Namespace) -> int:
    """Check everything, list the trials, run them, and write the results; 1 if a trial failed.

    Raises:
        ValueError: what is asked for does not hold; nothing has been started.
        FileNotFoundError: no data, or nothing to resume.
        KeyboardInterrupt: Ctrl-C; everything is saved.
    """
    settings = _ray_settings(options)
    device = "cuda" if settings.gpus else "cpu"
    preset = override(load_preset(options.preset), parse_assignments(options.set))
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
    )
    cells, rejections = plan_cells(preset, grid, plan.budget, device)
    plan.check_metric(cells)
    if not options.dry_run:
        _check_folder(options)
    costs = list_trials(plan, cells, rejections)
    if options.dry_run:
        return 0
    out = options.out.resolve()
    _check_room(out, costs, plan, settings)
    out.mkdir(parents=True, exist_ok=True)
    with sole_writer(out):
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
        plan.check_same(read_plan(out), out)
    else:
        plan.save(out)
    maker = Maker(cells, costs, plan.seed_numbers, out)
    source: Source = (
        GridSource(cells, maker)
        if plan.search == "grid"
        else OptunaSource(cells, maker, plan.grid, plan.trials, plan.preset.train.seed)
    )
    runner = TrialRunner(
        plan.preset,
        plan.budget,
        plan.metric,
        pack.folder.resolve(),
        out,
        plan.device,
        options.cpus_per_trial,
        plan.validations,
    )
    progress = Progress(source.num_trials, sum(read_outcome(out / each.name).is_over for each in read_trials(out)))
    try:
        if options.backend == "local":
            run_here(runner, source, progress.reached, progress.ended)
        else:
            run_on_ray(runner, source, settings, progress.reached, progress.ended)
    except (KeyboardInterrupt, InterruptedError):
        pass  # what is left undone says so
    finally:
        progress.close()
    write_report(out, plan)
    statuses = [read_outcome(out / trial.name).status for trial in read_trials(out)]
    if UNFINISHED in statuses or len(statuses) < source.num_trials:
        raise KeyboardInterrupt
    return int(FAILED in statuses)


def report(options: argparse.Namespace) -> int:
    """Write csv, summary and plots of a search's folder as it stands.

    Raises:
        FileNotFoundError: no search there.
    """
    write_report(options.dir, read_plan(options.dir))
    return 0


def write_report(out: Path, plan: Plan) -> None:
    """Write ``trials.csv``, ``summary.md`` and the plots; without the packages that they need, say so."""
    try:
        from tuning.plots import write_plots
        from tuning.results import compare, read_results, write_csv
        from tuning.summary import write_summary

        table = read_results(out)
        write_csv(out, table)
        comparison = compare(table, plan)
        write_summary(out, table, comparison, plan)
        write_plots(out, comparison, plan)
    except ModuleNotFoundError as error:
        print(f"{out}: no tables, {error.name} is not installed; where it is: python -m tuning report {out}")
        return
    print(f"wrote trials.csv, summary.md and plots in {out}")


def promote_trial(options: argparse.Namespace) -> int:
    """Give the chosen trial of a search a name.

    Raises:
        ValueError: no such trial, or a name that is taken.
        FileNotFoundError: no search there.
    """
    plan = read_plan(options.dir)
    limit = parse_gmacs(options.pareto_under) if options.pareto_under else None
    trial = choose(options.dir, options.trial, limit)
    name = options.name or options.dir.resolve().name.lower()
    done = promote(options.dir, plan, trial, name)
    print(f"trial {trial.index} ({format_overrides(trial.overrides)}, seed {trial.seed}): {done.preset}")
    print(f"its weights: {done.checkpoint}")
    print(f"compare it: python -m benchmark run --systems bsrnn:{name} --data DIR --out out/{name}")
    return 0


def plan_cells(preset: Preset, grid: Grid, budget: Budget, device: str) -> tuple[list[Cell], list[Rejection]]:
    """The cells of a grid that can be and that the budget pays for, and the others with the reason.

    Raises:
        ValueError: a setting or value that cannot be in any cell, or no cell at all.
    """
    check_values(preset, grid)
    found, rejections = expand(preset, grid)
    cells = []
    for cell in found:
        try:
            budget.apply(cell.preset, device)
            cells.append(cell)
        except ValueError as error:
            rejections.append(Rejection(cell.overrides, str(error)))
    if not cells:
        raise ValueError(rejections[-1].reason)
    return cells, rejections


def list_trials(plan: Plan, cells: Sequence[Cell], rejections: Sequence[Rejection]) -> list[tuple[int, float]]:
    """Print what is left out and why, and what each cell costs; returns parameters and GMAC/s of each."""
    for rejection in rejections:
        print(f"left out: {format_overrides(rejection.overrides)}: {rejection.reason}")
    seeds = f" ({len(cells)} cells, {plan.seeds} seeds)" if plan.seeds > 1 else ""
    if plan.search == "optuna":
        print(f"{min(plan.trials, len(cells) * plan.seeds)} trials out of {len(cells)} cells, {plan.budget} each")
    else:
        print(f"{len(cells) * plan.seeds} trials{seeds}, {plan.budget} each")
    known: dict[str, tuple[int, float]] = {}
    costs = []
    for index, cell in enumerate(cells):
        key = repr((cell.preset.model, cell.preset.separate))
        if key not in known:
            known[key] = count_parameters(cell.preset), gmacs_per_second(cell.preset, overlapped=True)
        parameters, gmacs = known[key]
        costs.append((parameters, gmacs))
        steps = (
            f"{plan.budget.apply(cell.preset, plan.device).train.steps:9d} steps" if plan.budget.kind == "flops" else ""
        )
        print(f"{index:4d}  {parameters / 1e6:8.3f} M  {gmacs:8.3f} GMAC/s{steps}  {cell.name}", flush=True)
    return costs


def open_common_data(roots: Sequence[Path], cells: Sequence[Cell], cache: Path) -> Pack:
    """A pack that serves every cell: the one given, or one made out of data folders.

    Raises:
        ValueError: cells ask for different stems or rates, or for others than the pack's; or unusable data.
        FileNotFoundError: no data.
    """
    needs = {(cell.preset.data.sources, cell.preset.model.sample_rate) for cell in cells}
    if len(needs) > 1:
        raise ValueError("--grid: data.sources and model.sample_rate must be one for all trials; search each by itself")
    sources, sample_rate = needs.pop()
    return open_data(roots, cache, sources, sample_rate)


def _ray_settings(options: argparse.Namespace) -> RaySettings:
    if options.backend not in ("ray", "local"):
        raise ValueError(f"--backend: expected ray or local, got {options.backend!r}")
    for name in ("address", "concurrent"):
        if options.backend == "local" and getattr(options, name):
            raise ValueError(f"--{name}: --backend local has one process and runs one trial after another")
    if options.backend == "local" and options.scheduler == "asha":
        raise ValueError("--scheduler: asha needs --backend ray, which runs trials side by side")
    num_cpus = os.cpu_count() or 1
    if options.cpus_per_trial < 1 or (options.address is None and options.cpus_per_trial > num_cpus):
        raise ValueError(f"--cpus-per-trial: expected 1 to {num_cpus}, got {options.cpus_per_trial}")
    gpus = options.gpus_per_trial
    if gpus is None:
        gpus = float(torch.cuda.is_available())
    if not (0 <= gpus <= 1 or (gpus > 1 and gpus.is_integer())):
        raise ValueError(f"--gpus-per-trial: expected 0 to 1 or a whole number, got {gpus:g}")
    if gpus > torch.cuda.device_count() and options.address is None:
        raise ValueError(f"--gpus-per-trial: this machine has {torch.cuda.device_count()} usable GPUs, got {gpus:g}")
    for name in ("concurrent", "retries", "trials"):
        if getattr(options, name) < 0:
            raise ValueError(f"--{name}: expected at least 0, got {getattr(options, name)}")
    return RaySettings(
        options.address,
        options.cpus_per_trial,
        gpus,
        options.concurrent,
        options.retries,
        options.scheduler == "asha",
    )


def _check_folder(options: argparse.Namespace) -> None:
    """Raise ValueError or FileNotFoundError if there is no data or output folder, or one that does not fit."""
    if not options.data:
        raise ValueError("--data: expected folders of music, or a pack")
    for root in options.data:
        if not root.exists():
            raise FileNotFoundError(f"--data: {root} is not there")
    if options.out is None:
        raise ValueError("--out: expected a folder for trials and results")
    if options.out.exists() and not options.out.is_dir():
        raise ValueError(f"--out: expected a folder, {options.out} is a file")
    held = {path.name for path in options.out.iterdir()} if options.out.exists() else set()
    if options.resume and PLAN not in held:
        raise FileNotFoundError(f"--resume: no search in {options.out}; leave out --resume to start one")
    if not options.resume and PLAN in held:
        raise ValueError(
            f"--out: {options.out} holds a search; add --resume to go on with it, or choose another folder"
        )
    if not options.resume and held - {"pack", LOCK}:
        raise ValueError(f"--out: expected a new or empty folder, {options.out} holds something; choose another")


def _check_room(out: Path, costs: Sequence[tuple[int, float]], plan: Plan, settings: RaySettings) -> None:
    """Raise ValueError if the trials' weights will not find room on the disk."""
    parent = next(folder for folder in (out, *out.parents) if folder.exists())
    parameters = [parameters for parameters, _ in costs]
    share = min(1.0, plan.trials / (len(costs) * plan.seeds)) if plan.trials else 1.0
    at_once = settings.concurrent or max(1, (os.cpu_count() or 1) // settings.cpus)
    trials = len(costs) * plan.seeds * share
    kept = sum(parameters) * plan.seeds * share * KEPT_BYTES
    need = kept + min(at_once, trials) * max(parameters) * RUNNING_BYTES
    free = shutil.disk_usage(parent).free
    if free < need:
        raise ValueError(
            f"--out: {len(costs)} cells need about {need / 1e9:.1f} GB, {parent} has {free / 1e9:.1f} GB free"
        )
