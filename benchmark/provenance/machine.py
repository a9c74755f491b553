"""What the machine says of a measurement: memory, processor time, load; and how it is kept from disturbing one."""

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
    """Processes started meanwhile compute with this many threads, whichever library they compute with.

    torch has its own setting besides; these variables also reach BLAS and OpenMP, which read them once, at import.
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
    """Wait until an accelerator has done all that it was asked: only then does a clock say how long it took."""
    if device != "cpu":
        import torch

        torch.accelerator.synchronize(torch.device(device))


def reset_peak_memory() -> None:
    """Let the peak start again at the present size, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_bytes() -> int:
    """The largest resident size of this process since the last reset, or ever where there is no such reset."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024  # not ru_maxrss: that inherits the parent's
    except (OSError, IndexError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


class Stopwatch:
    """Time and processor time of what runs inside `with`, waiting for the device at both ends.

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
    """The CPU, and the accelerator where the systems run on one."""
    if not device.startswith("cuda"):
        return processor()
    import torch

    return f"{processor()}, {torch.cuda.get_device_name(device)}"
