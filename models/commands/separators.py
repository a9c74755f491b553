"""Opens the checkpoints of the `separate` command, and says what a large network costs before it runs."""

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from models.checkpoints.checkpoint import CONFIG, find_checkpoint, read_config
from models.ensembles.config import read_ensemble
from models.ensembles.ensemble import EnsembleSeparator, members_of, open_separator
from models.separation.separator import NetworkSeparator

LARGE_GMACS = 20.0
"""Above this cost for a second of audio the command prints the cost first and always shows a progress bar."""


def open_checkpoints(
    args: argparse.Namespace, stems: list[str] | None, settings: Mapping[str, str], threads: int | None
) -> tuple[NetworkSeparator | EnsembleSeparator, dict[str, Any], Callable[[], bool]]:
    """The separator of the checkpoints, what decides its stems, and what prints its cost and whether it is large.

    Args:
        args: of the command.
        stems: that it returns, None: all.
        settings: changed ones.
        threads: of PyTorch, None: as they are.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    checkpoints = args.checkpoint or ["small"]
    separator = open_separator(
        checkpoints, args.device, stems, args.overlap, settings, args.one_at_a_time, args.precision
    )
    facts = {
        "model": separator.name,
        "settings": [dataclasses.asdict(member.settings) for member in members_of(separator)],
        "precision": [member.precision for member in members_of(separator)],
        "shares": separator.shares if isinstance(separator, EnsembleSeparator) else None,
    }
    return separator, facts, lambda: _say_cost(checkpoints, separator)


def stored_gmacs(folder: Path) -> float:
    """10^9 multiply-accumulates for a second of audio, from a checkpoint's `config.json`; 0 if it has no such value."""
    cost = read_config(folder / CONFIG)[1].get("gmacs_per_second")
    return float(cost) if isinstance(cost, int | float) else 0.0


def measure_work(separator: NetworkSeparator) -> float:
    """Seconds of work for a second of audio on this machine, overlaps included; measured on one second of noise."""
    noise = 0.1 * torch.randn(1, separator.channels, separator.sample_rate, generator=torch.Generator().manual_seed(0))
    start = time.perf_counter()
    separator.separate_chunks(noise)
    settings, rate = separator.settings, separator.sample_rate
    return (time.perf_counter() - start) * settings.shifts * settings.window_size(rate) / settings.hop_size(rate)


def _say_cost(checkpoints: Sequence[str], separator: NetworkSeparator | EnsembleSeparator) -> bool:
    """Print the cost of a large network; returns whether it is one."""
    gmacs = sum(stored_gmacs(find_checkpoint(name)) for name in read_ensemble(checkpoints).checkpoints)
    if gmacs < LARGE_GMACS:
        return False
    work_s = sum(measure_work(member) for member in members_of(separator))
    print(
        f"{separator.name}: {gmacs:.0f} GMAC for a second of audio, about {work_s:.1f} s on this machine",
        file=sys.stderr,
    )
    return True
