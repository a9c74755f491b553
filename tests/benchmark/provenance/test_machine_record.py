"""benchmark.provenance.machine: time and memory of a process, and the number of threads of started processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmark.provenance import machine
from benchmark.provenance.machine import Stopwatch, pinned_threads, processor


def test_the_stopwatch_separates_waiting_from_working():
    with Stopwatch() as waiting:
        time.sleep(0.1)
    assert waiting.wall_s >= 0.1 and waiting.cpu_s < 0.05
    with Stopwatch() as working:
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
    assert working.cpu_s >= 0.05


def test_the_stopwatch_waits_for_the_device_at_both_ends(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda device: calls.append(str(device)))
    with Stopwatch("cuda"):
        assert calls == ["cuda"]
    assert calls == ["cuda", "cuda"]
    with Stopwatch("cpu"):
        pass
    assert len(calls) == 2


PEAKS = """
import mmap
from benchmark.provenance.machine import peak_memory_bytes, reset_peak_memory

reset_peak_memory()
print(peak_memory_bytes())
with mmap.mmap(-1, 2**27) as block:
    block.write(bytes(2**27))
print(peak_memory_bytes())
reset_peak_memory()
print(peak_memory_bytes())
"""


def test_peak_memory_starts_again():
    # in a process of its own: what this one gives back meanwhile would hide what it takes
    done = subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True, check=True)
    before, peak, after = map(int, done.stdout.split())
    assert peak > before + 2**26
    assert not Path("/proc/self/clear_refs").exists() or after < before + 2**26


def test_threads_are_fixed_for_processes_started_in_the_context(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    program = "import os, torch; print(os.environ['OPENBLAS_NUM_THREADS'], torch.get_num_threads())"
    with pinned_threads(1):
        shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["1", "1"]
    assert os.environ["OMP_NUM_THREADS"] == "7" and "OPENBLAS_NUM_THREADS" not in os.environ


def test_the_processor_has_a_name(monkeypatch):
    assert processor().endswith(f"({os.cpu_count()} cores)")
    monkeypatch.setattr(machine.Path, "read_text", lambda self: "no model here")
    assert processor().endswith("cores)")
