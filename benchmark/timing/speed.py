"""Times our separator and other systems at their official sizes, in one process and one run.

Speed does not depend on the values of the weights. So the other systems are built untrained, from their own packages,
and their output is not scored.
"""

import importlib.util
import math
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from benchmark.provenance.energy import EnergyMeter
from benchmark.provenance.machine import Stopwatch
from benchmark.systems.checkpoint import CheckpointSystem
from benchmark.systems.demucs import DemucsSystem
from benchmark.systems.interface import Counted, System
from benchmark.systems.msst import MsstSystem
from benchmark.systems.msst_config import MsstConfig
from benchmark.systems.openunmix import OpenUnmixSystem
from models.running.memory import keep_freed_memory
from models.tracks import STEMS

SAMPLE_RATE = 44100
WARM_UP_S = 2


@dataclass(frozen=True)
class Timing:
    """The times of one system for the same noise in several runs.

    Attributes:
        name: the system.
        parameters: number of weights.
        gmacs_per_second: 10^9 multiply-accumulates for a second of audio.
        real_time_factors: separation time over audio duration of each run.
        cpu_factors: processor time over audio duration of each run.
        watt_hours: for an hour of audio, median over the runs; None where no counter can be read.
    """

    name: str
    parameters: int
    gmacs_per_second: float
    real_time_factors: tuple[float, ...]
    cpu_factors: tuple[float, ...]
    watt_hours: float | None = None

    @property
    def median(self) -> float:
        """Median real-time factor."""
        return statistics.median(self.real_time_factors)


def speed_systems(checkpoint: str = "small", device: str = "cpu") -> dict[str, Callable[[], System]]:
    """The systems to time: our checkpoint with its overlap, and the others with their default settings.

    Ours is timed as `models separate` runs it, then without each of the two things that make it fast on a CPU.
    """
    ours = f"BSRNN ({checkpoint})"
    peers = {"SCNet small, overlap 1/2": lambda: _scnet_small(device)} if importlib.util.find_spec("pymss_core") else {}
    return {
        ours: lambda: CheckpointSystem(_folder(checkpoint), device, "auto"),
        f"{ours}, float32": lambda: CheckpointSystem(_folder(checkpoint), device),
        f"{ours}, float32, one chunk at a time": lambda: CheckpointSystem(_folder(checkpoint), device, workers=1),
        "Open-Unmix, umxhq's size, no Wiener filter": lambda: _umxhq(0, device),
        "Open-Unmix, umxhq's size, its default filter": lambda: _umxhq(1, device),
        "HTDemucs, official size and overlap": lambda: _htdemucs(device),
        **peers,
    }


def measure_speed(
    systems: dict[str, Callable[[], System]], seconds: float, repeats: int, threads: int, device: str = "cpu"
) -> list[Timing]:
    """Time every system on the same stereo noise, in turns, so that a busy moment affects all of them.

    Args:
        systems: name and factory of each.
        seconds: length of the noise.
        repeats: runs of each system, after one short warm-up.
        threads: CPU threads.
        device: where the systems run; the stopwatch waits for it.
    """
    import torch

    torch.set_num_threads(threads)
    keep_freed_memory()
    noise = np.random.default_rng(0).normal(0, 0.1, (2, max(1, round(seconds * SAMPLE_RATE)))).astype(np.float32)
    built = {name: factory() for name, factory in systems.items()}
    for system in built.values():
        system.separate(noise[:, : WARM_UP_S * SAMPLE_RATE], SAMPLE_RATE)
    watches: dict[str, list[Stopwatch]] = {name: [] for name in built}
    meter = EnergyMeter(device)
    energies: dict[str, list[float]] = {name: [] for name in built}
    for _ in range(repeats):
        for name, system in built.items():
            before = meter.joules()
            with Stopwatch(device) as watch:
                system.separate(noise, SAMPLE_RATE)
            watches[name].append(watch)
            after = meter.joules()
            if before is not None and after is not None:
                energies[name].append(after - before)
    duration_s = noise.shape[-1] / SAMPLE_RATE
    return [
        Timing(
            name,
            system.parameters,
            system.gmacs_per_second() if isinstance(system, Counted) else math.nan,
            tuple(watch.wall_s / duration_s for watch in watches[name]),
            tuple(watch.cpu_s / duration_s for watch in watches[name]),
            statistics.median(energies[name]) / duration_s if energies[name] else None,
        )
        for name, system in built.items()
    ]


def render_speed(timings: list[Timing], seconds: float, threads: int) -> str:
    """The timings as Markdown; the ratio is to the first system."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    lines = [
        f"{len(timings[0].real_time_factors)} runs each of {seconds:g} s of stereo noise in turns, {threads} threads, "
        f"load {load} at the end; RTF (real-time factor) is time over audio duration, CPU processor time over "
        "audio duration; Wh the energy of the whole machine's processors, or of the GPU, for an hour of audio; four "
        "stems.",
        "",
        "| system | parameters | GMAC/s | RTF median | RTF range | CPU median | times the first | Wh |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for timing in timings:
        spread = f"{min(timing.real_time_factors):.3f}–{max(timing.real_time_factors):.3f}"
        ratio = f"{timing.median / timings[0].median:.1f}"
        energy = "not readable" if timing.watt_hours is None else f"{timing.watt_hours:.1f}"
        cpu = statistics.median(timing.cpu_factors)
        gmacs = "not counted" if math.isnan(timing.gmacs_per_second) else f"{timing.gmacs_per_second:.1f}"
        lines.append(
            f"| {timing.name} | {timing.parameters / 1e6:.1f} M | {gmacs} "
            f"| {timing.median:.3f} | {spread} | {cpu:.3f} | {ratio} | {energy} |"
        )
    return "\n".join(lines)


def _folder(checkpoint: str) -> str:
    from models.checkpoints.checkpoint import find_checkpoint

    return str(find_checkpoint(checkpoint))


def _umxhq(wiener_iterations: int, device: str = "cpu") -> System:
    from openunmix.model import OpenUnmix, Separator

    targets: dict[str, Any] = {
        stem: OpenUnmix(nb_bins=2049, nb_channels=2, hidden_size=512, max_bin=1487) for stem in STEMS
    }
    separator = Separator(targets, niter=wiener_iterations, sample_rate=SAMPLE_RATE, n_fft=4096, n_hop=1024)
    return OpenUnmixSystem(separator, 2, 4096, device)


def _scnet_small(device: str = "cpu") -> System:
    """SCNet of 10 M parameters (Tong et al. 2024, arXiv 2401.13276), in chunks of 11 s as its authors'."""
    from pymss_core.modules.scnet import SCNet

    outputs = {stem: (stem,) for stem in STEMS}
    config = MsstConfig("scnet", {}, STEMS, outputs, 11 * SAMPLE_RATE, 2, 1, SAMPLE_RATE, 2, normalize=False)
    return MsstSystem(SCNet(sources=list(STEMS)), config, device)


def _htdemucs(device: str = "cpu") -> System:
    from demucs.htdemucs import HTDemucs

    sources = ["drums", "bass", "other", "vocals"]
    network = HTDemucs(sources=sources, bottom_channels=512, dconv_mode=3, segment=Fraction(39, 5))
    return DemucsSystem(network, device)
