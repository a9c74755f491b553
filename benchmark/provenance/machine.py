"""Measures memory and time of this process, describes the machine, and fixes the number of threads."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from models.running.processors import processor_name

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextlib.contextmanager
def pinned_threads(threads: int) -> Iterator[None]:
    """Within this context, started processes compute with this number of threads, in every library.

    torch has its own setting. These variables also reach BLAS and OpenMP, which read them once, at import.
    """
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def synchronize(device: str) -> None:
    """Wait until an accelerator has finished its queued work, so that a clock measures it."""
    if device != "cpu":
        import torch

        torch.accelerator.synchronize(torch.device(device))


def reset_peak_memory() -> None:
    """Reset the peak to the current size, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_bytes() -> int:
    """The largest resident size of this process since the last reset; since its start where there is no reset."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024  # not ru_maxrss: that inherits the parent's
    except (OSError, IndexError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


class Stopwatch:
    """Measures the time and processor time of a `with` block; waits for the device at its start and end.

    Attributes:
        wall_s: seconds on the clock.
        cpu_s: processor seconds of this process, all threads together.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self.wall_s = self.cpu_s = 0.0

    def __enter__(self) -> "Stopwatch":
        synchronize(self._device)
        self._begun = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            synchronize(self._device)
        self.wall_s = time.perf_counter() - self._begun[0]
        self.cpu_s = time.process_time() - self._begun[1]


def processor() -> str:
    """The CPU's name where the system tells it, and how many cores there are."""
    return f"{processor_name()} ({os.cpu_count()} cores)"


def machine(device: str = "cpu") -> str:
    """The CPU, and the accelerator if the systems run on one."""
    if not device.startswith("cuda"):
        return processor()
    import torch

    return f"{processor()}, {torch.cuda.get_device_name(device)}"
