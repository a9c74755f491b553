"""Several pairs of a system and a track at once, as Ray tasks on this machine or on a cluster.

A task measures one pair as the serial run does, and writes the result itself: where this process is killed, nothing
finished is lost. A worker process keeps the system that it used last, so that a system is loaded about once for each
worker. On a cluster every machine needs the same checkout, data and results folder at the same paths.
"""

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmark.machine import pinned_threads
from benchmark.results import Failure, Settings
from benchmark.run import measure_pair, prepare, told
from benchmark.source import Source
from models.tracks import Track

Pair = tuple[Source, Track]
DONE, FAILED, UNUSABLE = "done", "failed", "unusable"

_prepared: dict[tuple[Source, Settings], Any] = {}
"""What this worker process used last."""


def measure_task(source: Source, track: Track, out: Path, settings: Settings, jobs: int) -> tuple[str, str]:
    """Measure a pair in a worker process; returns DONE, FAILED or UNUSABLE, and the reason."""
    try:
        if (source, settings) not in _prepared:
            _prepared.clear()
            _prepared[source, settings] = prepare(source, settings)
        system, row = _prepared[source, settings]
    except (Exception, SystemExit) as error:
        return UNUSABLE, told(error)
    try:
        measure_pair(system, row, source, track, out, settings, jobs)
    except Exception as error:
        return FAILED, told(error)
    return DONE, ""


def run_pairs(
    pairs: Sequence[Pair],
    out: Path,
    settings: Settings,
    jobs: int | None,
    address: str | None,
    bar: Any,
    task: Callable[[Source, Track, Path, Settings, int], tuple[str, str]] = measure_task,
) -> list[Failure]:
    """Measure pairs, several at once.

    Args:
        pairs: systems and tracks, those of a system in a row.
        out: folder of the results.
        settings: see Settings; each task has `settings.threads` CPUs.
        jobs: how many at once; None for as many as a cluster has CPUs for.
        address: of a running Ray cluster, as `ray.init` takes it; None starts Ray here.
        bar: counts the pairs.
        task: what measures a pair.

    Returns:
        What failed: each by itself, except that a system that cannot be loaded is given up.

    Raises:
        ValueError: there is no cluster at the address, or none of its machines has that many CPUs.
    """
    ray = _start(settings, jobs or 1, address)
    jobs = jobs or max(1, int(ray.cluster_resources().get("CPU", 0)) // settings.threads)
    failures: list[Failure] = []
    running: dict[Any, Pair] = {}
    try:
        gpus = ray.cluster_resources().get("GPU", 0) if settings.device.startswith("cuda") else 0
        gpu_share = min(1.0, gpus / jobs) if gpus else 0
        remote = ray.remote(num_cpus=settings.threads, num_gpus=gpu_share, max_retries=0)(_in_folder)
        waiting = list(reversed(pairs))
        unusable: set[str] = set()
        while waiting or running:
            while waiting and len(running) < jobs:
                source, track = waiting.pop()
                if source.name in unusable:
                    bar.update(1)
                    continue
                absolute = out.resolve()
                running[remote.remote(os.getcwd(), task, source, track, absolute, settings, jobs)] = (source, track)
            if not running:
                break
            (ready, *_), _ = ray.wait(list(running), num_returns=1)
            source, track = running.pop(ready)
            outcome, reason = _outcome(ray, ready)
            if outcome == UNUSABLE and source.name not in unusable:
                unusable.add(source.name)
                failures.append(Failure(source.name, "", reason))
            elif outcome == FAILED:
                failures.append(Failure(source.name, track.name, reason))
            bar.set_description(source.name)
            bar.update(1)
    finally:
        with contextlib.suppress(Exception):
            for reference in running:
                ray.cancel(reference, force=True)
        ray.shutdown()
    return failures


def _in_folder(folder: str, task: Callable[..., tuple[str, str]], *arguments: Any) -> tuple[str, str]:
    """Do a task where the run was started, if that is there: paths may be relative to it."""
    with contextlib.suppress(OSError):
        os.chdir(folder)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return task(*arguments)


def _outcome(ray: Any, reference: Any) -> tuple[str, str]:
    try:
        outcome, reason = ray.get(reference)
        return outcome, reason
    except ray.exceptions.RayTaskError as error:
        traceback.print_exception(error)
        return FAILED, f"its task failed ({type(error.cause).__name__})"
    except ray.exceptions.RayError:
        return FAILED, "its process ended (out of memory?)"


def _start(settings: Settings, jobs: int, address: str | None) -> Any:
    """Start Ray, or join the cluster at an address; returns the module."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a token would be written to the home folder
    os.environ.setdefault("RAY_memory_monitor_refresh_ms", "0")  # else it may kill a task for what others use
    os.environ.setdefault("RAY_worker_niceness", "0")  # else tasks stand back for all else that runs here
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
