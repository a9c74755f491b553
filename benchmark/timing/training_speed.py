"""Times training steps of several presets, in turns, in one process; and what share of a step each operator takes."""

import os
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile

from benchmark.provenance.machine import Stopwatch
from models.macs import count_parameters, step_gflops
from models.presets.preset import Preset, load_preset
from models.presets.settings import override, parse_assignments
from models.running.memory import keep_freed_memory
from models.training.data.loader import load_batches
from models.training.data.mixing import RandomMixer
from models.training.data.packs import Pack
from models.training.loss import build_loss
from models.training.optimizer import learning_rate
from models.training.record.progress import Progress
from models.training.step import TrainingStep
from models.training.world import World

WARM_UP_STEPS = 2


@dataclass(frozen=True)
class StepTiming:
    """The times of one preset's training steps.

    Attributes:
        name: the preset and its changed settings.
        parameters: number of weights.
        gflops: 10^9 floating-point operations of a step.
        mixture_s: seconds of mixture in a batch; an example of two channels counts once.
        batch_s: to make each batch. On the CPU processor seconds, on a GPU seconds on the clock, as all times here.
        step_s: of each step: loss, gradients, optimiser, average.
        operators: share of each operator in a step's time, the largest first.
    """

    name: str
    parameters: int
    gflops: float
    mixture_s: float
    batch_s: tuple[float, ...]
    step_s: tuple[float, ...]
    operators: dict[str, float]

    @property
    def speed(self) -> float:
        """Seconds of mixture that are trained on in a second, by the medians of batch and step."""
        return self.mixture_s / (statistics.median(self.batch_s) + statistics.median(self.step_s))


def parse_setup(text: str) -> Preset:
    """Read ``NAME?SETTING=VALUE&SETTING=VALUE``: a preset, or one with changed settings.

    Raises:
        ValueError: no such preset or setting.
    """
    name, _, changes = text.partition("?")
    return override(load_preset(name), parse_assignments(changes.split("&") if changes else []))


def measure_training(
    setups: dict[str, Preset], pack: Pack, steps: int, threads: int, device: str = "cpu", profiled: bool = False
) -> list[StepTiming]:
    """Train each preset from nothing for a few steps, step by step in turns, so that a busy moment affects all.

    Args:
        setups: name and preset of each.
        pack: what batches are made of.
        steps: timed steps of each, after two that are not.
        threads: CPU threads.
        device: "cpu" or "cuda".
        profiled: whether one more step of each is recorded by operators.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    trainers = {name: _Trainer(preset, pack, WARM_UP_STEPS + steps + 1, device) for name, preset in setups.items()}
    for _ in range(WARM_UP_STEPS + steps):
        for trainer in trainers.values():
            trainer.take()
    timings = []
    for name, trainer in trainers.items():
        preset = trainer.preset
        timings.append(
            StepTiming(
                name,
                count_parameters(preset),
                step_gflops(preset),
                preset.train.batch * preset.data.crop_s,
                tuple(trainer.batch_s[WARM_UP_STEPS:]),
                tuple(trainer.step_s[WARM_UP_STEPS:]),
                trainer.profile() if profiled else {},
            )
        )
    return timings


class _Trainer:
    """A preset's network, its batches and its step."""

    def __init__(self, preset: Preset, pack: Pack, steps: int, device: str) -> None:
        config = preset.train
        torch.manual_seed(config.seed)
        world = World(device=device)
        is_spatial = getattr(preset.model, "stereo", "folded") == "spatial"
        mixer = RandomMixer(pack, preset.data, preset.model.stems, config.seed, is_spatial)
        self.preset, self.device = preset, device
        self.batch_s: list[float] = []
        self.step_s: list[float] = []
        self._step = TrainingStep(preset.build_network().to(device), build_loss(preset).to(device), config, world)
        self._batches = load_batches(mixer, config.batch, slice(0, config.batch), 0, steps, 0, device)
        self._progress = Progress()

    def take(self) -> None:
        """Make a batch and take a step; their times are added."""
        with Stopwatch(self.device) as batch_watch:
            batch = next(self._batches)
        with Stopwatch(self.device) as step_watch:
            rate = learning_rate(self.preset.train, self._progress.step, 0.0)
            self._step.take(batch, self._progress, rate)
        self._progress.step += 1
        for times, watch in ((self.batch_s, batch_watch), (self.step_s, step_watch)):
            times.append(watch.cpu_s if self.device == "cpu" else watch.wall_s)

    def profile(self) -> dict[str, float]:
        """Take one more step and share its time among the operators."""
        on_gpu = self.device != "cpu"
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
        with profile(activities=activities, acc_events=True) as recorded:
            self.take()
        times: Counter[str] = Counter()
        for event in recorded.key_averages():
            times[event.key] += event.self_device_time_total if on_gpu else event.self_cpu_time_total
        total = sum(times.values())
        return {name: time / total for name, time in times.most_common() if time > 0}


def render_training(timings: Sequence[StepTiming], threads: int, device: str, num_operators: int) -> str:
    """The timings as Markdown; speed is compared with the first. Below, each one's costliest operators."""
    kind = "processor seconds" if device == "cpu" else "seconds on the clock"
    lines = [
        f"{len(timings[0].step_s)} training steps of each in turns on {device}, {threads} threads, load "
        f"{os.getloadavg()[0]:.1f} at the end; medians, in {kind}. Speed: seconds of mixture, mixed and trained on, "
        "in a second.",
        "",
        "| preset | parameters | mixture s | batch s | step s | range | GFLOP/s | speed | times the first |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for timing in timings:
        step_s = statistics.median(timing.step_s)
        lines.append(
            f"| {timing.name} | {timing.parameters / 1e6:.1f} M | {timing.mixture_s:g} "
            f"| {statistics.median(timing.batch_s):.3f} | {step_s:.3f} "
            f"| {min(timing.step_s):.3f}–{max(timing.step_s):.3f} | {timing.gflops / step_s:.0f} "
            f"| {timing.speed:.1f} | {timing.speed / timings[0].speed:.2f} |"
        )
    for timing in timings:
        shares = list(timing.operators.items())[:num_operators]
        if shares:
            words = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares)
            lines += ["", f"{timing.name}, shares of a batch and a step: {words}"]
    return "\n".join(lines)
