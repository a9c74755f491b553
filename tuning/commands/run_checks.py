"""The checks of ``run`` before it starts: options of Ray, the output folder and the free disk space."""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from models.running.arguments import check_at_least
from models.running.folder_lock import LOCK
from models.running.processors import num_cpus
from models.running.ray_session import check_address
from models.training.record.run_folder import STATE
from tuning.arguments import RETRIES
from tuning.space.grid import format_overrides
from tuning.space.plan import PLAN, Plan
from tuning.trials.halving import read_rungs
from tuning.trials.on_ray import RaySettings
from tuning.trials.records import FINISHED, read_outcome, read_trials

KEPT_BYTES, RUNNING_BYTES = 22, 72
"""Bytes of disk for each parameter of a trial: for the weights and the last state, which stay, and while it runs.

The state counts several times: Ray keeps a copy, and a new state is written before the old one is deleted.
"""


def ray_settings(options: argparse.Namespace) -> RaySettings:
    """The settings of Ray that the options of ``run`` ask for.

    Raises:
        ValueError: an option is out of range, or does not go with another.
    """
    if options.backend not in ("ray", "local"):
        raise ValueError(f"--backend: expected ray or local, got {options.backend!r}")
    for name in ("address", "storage", "concurrent", "retries"):
        if options.backend == "local" and getattr(options, name):
            raise ValueError(f"--{name}: expected --backend ray, got local, which runs one trial after another")
    if not options.dry_run:
        check_address(options.address)
    if options.backend == "local" and options.scheduler == "asha":
        raise ValueError("--scheduler: asha needs --backend ray, which runs several trials at the same time")
    if options.cpus_per_trial < 1 or (options.address is None and options.cpus_per_trial > num_cpus()):
        raise ValueError(f"--cpus-per-trial: expected 1 to {num_cpus()}, got {options.cpus_per_trial}")
    gpus = options.gpus_per_trial
    if gpus is None:
        gpus = float(torch.cuda.is_available())
    if not (0 <= gpus <= 1 or (gpus > 1 and gpus.is_integer())):
        raise ValueError(f"--gpus-per-trial: expected 0 to 1 or a whole number, got {gpus:g}")
    if gpus > torch.cuda.device_count() and options.address is None:
        raise ValueError(f"--gpus-per-trial: expected at most {torch.cuda.device_count()} usable GPUs, got {gpus:g}")
    retries = RETRIES if options.retries is None else options.retries
    for name, number in (("concurrent", options.concurrent), ("retries", retries), ("trials", options.trials)):
        check_at_least(name, number, 0)
    return RaySettings(
        options.address,
        options.cpus_per_trial,
        gpus,
        options.concurrent,
        retries,
        options.scheduler == "asha",
        options.storage,
    )


def check_folder(options: argparse.Namespace) -> None:
    """Check the folders of data and of the search.

    Raises:
        ValueError: no folder was given, or the output folder holds other files or another search.
        FileNotFoundError: no data, or no search to resume.
    """
    if not options.data:
        raise ValueError("--data: expected folders of music, or a pack")
    for root in options.data:
        if not root.exists():
            raise FileNotFoundError(f"--data: expected an existing folder, got {root}")
    if options.out is None:
        raise ValueError("--out: expected a folder for trials and results")
    if options.out.exists() and not options.out.is_dir():
        raise ValueError(f"--out: expected a folder, {options.out} is a file")
    names = {path.name for path in options.out.iterdir()} if options.out.exists() else set()
    goes_on = options.resume or options.extend
    if goes_on and PLAN not in names:
        option = "--resume" if options.resume else "--extend"
        raise FileNotFoundError(f"{option}: no search in {options.out}; leave out {option} to start one")
    if not goes_on and PLAN in names:
        raise ValueError(
            f"--out: {options.out} holds a search; add --resume to go on with it, --extend to do more, or choose "
            "another folder"
        )
    if not goes_on and names - {"pack", LOCK}:
        raise ValueError(f"--out: expected a new or empty folder, {options.out} holds other files; choose another")


def check_states(plan: Plan, out: Path) -> None:
    """Raise ValueError if a finished trial that is to be trained further has no saved state."""
    left = {name for rung in read_rungs(out) for name in rung.scores if name not in rung.kept}
    for trial in read_trials(out) if plan.earlier else []:
        outcome = read_outcome(out / trial.name)
        behind = outcome.until is None or outcome.until < plan.budget.amount
        goes_on = outcome.status == FINISHED and behind and format_overrides(trial.overrides) not in left
        if goes_on and not (out / trial.name / STATE).exists():
            raise ValueError(
                f"--extend: {out / trial.name} has no {STATE} to train on from; keep the --budget, or start "
                "another search"
            )


def check_room(out: Path, costs: Sequence[tuple[int, float]], plan: Plan, settings: RaySettings) -> None:
    """Raise ValueError if the disk has too little space for the trials."""
    parent = next(folder for folder in (out, *out.parents) if folder.exists())
    parameters = [parameters for parameters, _ in costs]
    share = plan.trials / (len(costs) * plan.seeds) if plan.trials else 1.0
    if not plan.is_open:  # else the cells are a sample
        share = min(1.0, share)
    at_once = settings.concurrent or max(1, num_cpus() // settings.cpus)
    trials = len(costs) * plan.seeds * share
    kept = sum(parameters) * plan.seeds * share * KEPT_BYTES
    need = kept + min(at_once, trials) * max(parameters) * RUNNING_BYTES
    free = shutil.disk_usage(parent).free
    if free < need:
        raise ValueError(
            f"--out: {len(costs)} cells need about {need / 1e9:.1f} GB, {parent} has {free / 1e9:.1f} GB free"
        )
