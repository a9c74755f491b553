"""The processors of this machine: what they are called, and how many may be used."""

import os
import platform
from pathlib import Path


def num_cpus() -> int:
    """How many processors this process may use: fewer than there are where a job scheduler or `taskset` says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    """The model of the processors where the system tells it, else their architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
