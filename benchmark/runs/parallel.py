"""Measures several pairs at the same time, as Ray tasks on this machine or on a cluster.

A task measures its pair in the same kind of process as a serial run, see `process`. That process writes the result, so
nothing finished is lost if this one is killed. A Ray worker keeps its last process, so a system is loaded about once
for each worker. On a cluster every machine needs the same checkout, packages, data and results folder at the same
paths; a machine with other code or packages is refused.
"""

import atexit
import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.provenance.machine import pinned_threads
from benchmark.provenance.weights import Source
from benchmark.runs.pair import Origin, Pair
from benchmark.runs.process import FAILED, Failures, MeasuringProcess, Outcome
from benchmark.runs.settings import Settings
from benchmark.runs.store import Failure

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
    ray = _start(settings, jobs or 1, address)
    jobs = jobs or max(1, int(ray.cluster_resources().get("CPU", 0)) // settings.threads)
    origin = replace(origin, jobs=jobs)
    failures = Failures()
    running: dict[Any, Pair] = {}
    try:
        gpus = ray.cluster_resources().get("GPU", 0) if settings.device.startswith("cuda") else 0
        gpu_share = min(1.0, gpus / jobs) if gpus else 0
        remote = ray.remote(num_cpus=settings.threads, num_gpus=gpu_share, max_retries=0)(_in_folder)
        waiting = list(reversed(pairs))
        while waiting or running:
            while waiting and len(running) < jobs:
                pair = waiting.pop()
                if failures.gave_up(pair.source):
                    bar.update(1)
                    continue
                running[remote.remote(os.getcwd(), measure_task, pair, out.resolve(), settings, origin)] = pair
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
        ray.shutdown()
    return failures


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


def _start(settings: Settings, jobs: int, address: str | None) -> Any:
    """Start Ray, or join the cluster at an address; returns the module."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a token would be written to the home folder
    os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")  # else it may kill a task for others' memory
    os.environ.setdefault("RAY_worker_niceness", "0")  # the priority of this process: Ray's is lower
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        here: dict[str, Any] = {
            "num_cpus": settings.threads * jobs,
            "include_dashboard": False,
            "object_store_memory": 2**27,
        }
        with pinned_threads(settings.threads):
            ray.init(**options, **here)
        return ray
    try:
        ray.init(address=address, **options)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"--address {address}: no Ray cluster answers there ({reason})") from error
    largest = max((node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), default=0)
    if largest < settings.threads:
        ray.shutdown()
        raise ValueError(f"--threads {settings.threads}: the largest machine of the cluster has {largest:.0f} CPUs")
    return ray
