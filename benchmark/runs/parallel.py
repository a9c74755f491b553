"""Measures several pairs at the same time, as Ray tasks on this machine or on a cluster.

A task measures its pair in the same kind of process as a serial run, see `process`. That process writes the result, so
nothing finished is lost if this one is killed. A Ray worker keeps its last process, so a system is loaded about once
for each worker. On a cluster every machine needs the same checkout, packages, data and results folder at the same
paths; a machine with other code or packages is refused.
"""

import atexit
import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.provenance.machine import pinned_threads
from benchmark.provenance.weights import Source
from benchmark.runs.pair import Origin, Pair
from benchmark.runs.process import FAILED, Failures, MeasuringProcess, Outcome
from benchmark.runs.settings import Settings
from benchmark.runs.store import Failure
from models.running.ray_session import machines, ray_session

_kept: dict[tuple[Source, Path, Settings, Origin], MeasuringProcess] = {}
"""The process that this Ray worker used last."""


def measure_task(pair: Pair, out: Path, settings: Settings, origin: Origin) -> Outcome:
    """Measure a pair, in the worker's last process if that is of the same system."""
    wanted = (pair.source, out, settings, origin)
    if wanted not in _kept:
        _close_kept()
        _kept[wanted] = MeasuringProcess(*wanted)
    return _kept[wanted].measure(pair)


@atexit.register
def _close_kept() -> None:
    while _kept:
        _kept.popitem()[1].close()


def run_pairs(
    pairs: Sequence[Pair],
    out: Path,
    settings: Settings,
    origin: Origin,
    bar: Any,
    jobs: int | None,
    address: str | None,
) -> list[Failure]:
    """Measure pairs, several at once.

    Args:
        pairs: sorted by system.
        out: folder of the results.
        settings: see Settings; each task has `settings.threads` CPUs.
        origin: see Origin.
        bar: counts the pairs.
        jobs: number of pairs at the same time; None for as many as the cluster's CPUs allow.
        address: of a running Ray cluster, as in `ray.init`; None starts Ray here.

    Returns:
        The failures: one for each failed pair, or one for a system that cannot be loaded.

    Raises:
        ValueError: there is no cluster at the address, or none of its machines has enough CPUs.
    """
    with contextlib.ExitStack() as held:
        with pinned_threads(settings.threads):
            ray = held.enter_context(ray_session(address, settings.threads * (jobs or 1), quiet=True))
        if address:
            _check_machines(machines(ray), settings)
        resources = ray.cluster_resources()
        jobs = jobs or max(1, int(resources.get("CPU", 0)) // settings.threads)
        gpus = resources.get("GPU", 0) if settings.device.startswith("cuda") else 0
        gpu_share = min(1.0, gpus / jobs) if gpus else 0
        task = ray.remote(num_cpus=settings.threads, num_gpus=gpu_share, max_retries=0)(_in_folder)
        common = (out.resolve(), settings, replace(origin, jobs=jobs))
        return _measure_all(ray, task, pairs, common, bar, jobs)


def _measure_all(
    ray: Any,
    task: Any,
    pairs: Sequence[Pair],
    common: tuple[Path, Settings, Origin],
    bar: Any,
    jobs: int,
) -> list[Failure]:
    """Keep as many tasks running as there are jobs; those that an interruption leaves are cancelled."""
    failures = Failures()
    running: dict[Any, Pair] = {}
    waiting = list(reversed(pairs))
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                pair = waiting.pop()
                if failures.gave_up(pair.source):
                    bar.update(1)
                    continue
                running[task.remote(os.getcwd(), measure_task, pair, *common)] = pair
            if not running:
                break
            (ready, *_), _ = ray.wait(list(running), num_returns=1)
            pair = running.pop(ready)
            failures.note(pair, _outcome(ray, ready))
            bar.set_description(pair.source.name)
            bar.update(1)
    finally:
        with contextlib.suppress(Exception):
            for reference in running:
                ray.cancel(reference, force=True)
    return failures


def _check_machines(nodes: Sequence[Mapping[str, float]], settings: Settings) -> None:
    """Raise ValueError if no machine of a cluster has the CPUs of a task: Ray would wait for one for ever."""
    largest = max((node.get("CPU", 0) for node in nodes), default=0)
    if largest < settings.threads:
        raise ValueError(f"--threads {settings.threads}: the largest machine of the cluster has {largest:.0f} CPUs")


def _in_folder(folder: str, task: Callable[..., Outcome], *arguments: Any) -> Outcome:
    """Run a task in the folder where the run was started, if it exists here, since paths may be relative to it."""
    with contextlib.suppress(OSError):
        os.chdir(folder)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return task(*arguments)


def _outcome(ray: Any, reference: Any) -> Outcome:
    try:
        outcome, reason = ray.get(reference)
        return outcome, reason
    except ray.exceptions.RayTaskError as error:
        traceback.print_exception(error)
        return FAILED, f"its task failed ({type(error.cause).__name__})"
    except ray.exceptions.RayError as error:  # Ray's own worker, which does no work itself
        reason = " ".join(str(error).split())[:200]
        return FAILED, f"its Ray worker ended: {reason}"
