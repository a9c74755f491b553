"""What training asks of the machine, and what it says about it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from models.running.processors import processor_name
from models.running.repository import ROOT


@contextmanager
def stop_on_signal(stopped: list[int]) -> Iterator[None]:
    """Note Ctrl-C and SIGTERM in ``stopped`` so that the step in hand can finish; a second one acts as usual."""

    def note(number: int, _frame: object) -> None:
        stopped.append(number)
        for name, handler in previous.items():
            signal.signal(name, handler)

    previous = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        for name in previous:
            signal.signal(name, note)
    except ValueError:  # not in the main thread: whoever owns that handles signals
        previous.clear()
    try:
        yield
    finally:
        for name, handler in previous.items():
            signal.signal(name, handler)


def can_bfloat16(device: str) -> bool:
    """Whether a BLSTM runs in bfloat16 here; some processors raise."""
    lstm = nn.LSTM(8, 8, bidirectional=True).to(device)
    try:
        with torch.autocast(torch.device(device).type, dtype=torch.bfloat16):
            lstm(torch.zeros(2, 2, 8, device=device))[0].sum().backward()
    except RuntimeError:
        print("train.precision: no bfloat16 BLSTM on this processor, float32 instead", file=sys.stderr)
        return False
    return True


def describe_hardware(device: str, processes: int) -> str:
    """Processor or GPU, and how many of it were used."""
    if device.startswith("cuda"):
        return f"{processes} x {torch.cuda.get_device_name()}"
    return f"{processor_name()}, {os.cpu_count()} cores, {processes} process(es) of {torch.get_num_threads()} thread(s)"


def git_commit() -> str:
    """The commit of this source tree, with ``+`` where files differ from it; empty outside a repository."""
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
