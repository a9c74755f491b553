"""Opens the checkpoints of the `separate` command, and says what a large network costs before it runs."""

import argparse
import sys
import time
from pathlib import Path

import torch

from models.checkpoints.checkpoint import CONFIG, find_checkpoint, read_config
from models.ensembles.config import read_ensemble
from models.ensembles.ensemble import EnsembleSeparator, members_of, open_separator
from models.presets.settings import parse_assignments
from models.separation.separator import NetworkSeparator

LARGE_GMACS = 20.0
"""Above this cost for a second of audio the command prints the cost first and always shows a progress bar."""


def open_checkpoints(args: argparse.Namespace) -> tuple[NetworkSeparator | EnsembleSeparator, bool]:
    """The separator of the checkpoints, and whether they are costly; the cost is printed then."""
    settings = parse_assignments(args.set)
    checkpoints = args.checkpoint or ["small"]
    separator = open_separator(
        checkpoints, args.device, args.stems, args.overlap, settings, one_at_a_time=args.one_at_a_time
    )
    gmacs = sum(stored_gmacs(find_checkpoint(name)) for name in read_ensemble(checkpoints).checkpoints)
    if is_large := gmacs >= LARGE_GMACS:
        work_s = sum(measure_work(member) for member in members_of(separator))
        print(
            f"{separator.name}: {gmacs:.0f} GMAC for a second of audio, about {work_s:.1f} s on this machine",
            file=sys.stderr,
        )
    return separator, is_large


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
