"""The training loop: any network that maps mixtures to stems, stopped and resumed at will."""

import copy
import ctypes
import math
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from models.checkpoint import save_checkpoint
from models.preset import Preset
from models.training.card import model_card
from models.training.loss import ComplexL1Loss, WaveformL1Loss
from models.training.mixing import RandomMixer
from models.training.optimizer import build_optimizers, learning_rate
from models.training.packs import Pack
from models.training.run_folder import RunFolder
from models.training.validation import validation_sdr

SAVE_EVERY_S = 60.0
LOG_EVERY = 50
LOSS_FFT = (2048, 512)
"""FFT and hop of the loss for networks that have no spectrogram of their own: the paper's."""


@dataclass(frozen=True)
class Result:
    """How a call of ``train`` ended.

    Attributes:
        steps: optimiser steps of the run so far.
        minutes: minutes of the run so far.
        best_sdr: best validation SDR, mean of the stems, dB; -inf before the first validation.
        finished: whether the run is complete; if not, resume it.
        interrupted: whether Ctrl-C or a termination signal ended it.
    """

    steps: int
    minutes: float
    best_sdr: float
    finished: bool
    interrupted: bool = False


@dataclass
class _Progress:
    step: int = 0
    minutes: float = 0.0
    horizon_minutes: float = 0.0
    cpu_minutes: float = 0.0
    best_sdr: float = -math.inf
    stale_validations: int = 0
    losses: list[float] = field(default_factory=list)


def train(
    preset: Preset,
    pack: Pack,
    out: Path,
    *,
    max_minutes: float | None = None,
    resume: bool = False,
    device: str = "cpu",
    on_validation: Callable[[dict[str, Any]], None] | None = None,
) -> Result:
    """Train a preset's network, or go on training it.

    The batch of each step follows from the seed and the step alone, so a resumed run of a fixed number of steps gives
    the same losses on a CPU as one that was never stopped.

    Args:
        preset: network, data and optimisation.
        pack: decoded tracks.
        out: the run's folder: ``last.pt`` (state), ``metrics.csv`` and ``best/`` (checkpoint).
        max_minutes: end this call after so many minutes; the run's length is ``train.steps`` or ``train.minutes``.
        resume: go on from ``out``.
        device: "cpu" or "cuda".
        on_validation: called with each row of validation results.

    Raises:
        ValueError: unusable data, or a folder that does not fit.
        FileNotFoundError: nothing to resume.
        FloatingPointError: the loss is not finite; the message names step and tracks, and the last state stays.
    """
    return _Trainer(preset, pack, out, device, on_validation).run(max_minutes, resume)


class _Trainer:
    def __init__(
        self,
        preset: Preset,
        pack: Pack,
        out: Path,
        device: str,
        on_validation: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        config = preset.train
        if not pack.split("valid"):
            raise ValueError("expected validation tracks, got 0; name a folder with a valid or MUSDB train split")
        _keep_freed_memory()
        torch.manual_seed(config.seed)
        self.preset, self.pack, self.device = preset, pack, device
        self.on_validation = on_validation
        self.folder = RunFolder(out)
        self.network = preset.build_network().to(device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.mixer = RandomMixer(pack, preset.data, preset.model.stems, config.seed)
        self.loss = _build_loss(preset).to(device)
        self.optimizers = build_optimizers(self.network, config)
        self.bfloat16 = config.precision == "bfloat16" and _can_bfloat16(device)
        self.progress = _Progress()

    def run(self, max_minutes: float | None, resume: bool) -> Result:
        config = self.preset.train
        if resume:
            self._load()
        else:
            self.folder.refuse_overwrite()
        progress = self.progress
        progress.horizon_minutes = self._horizon_minutes(max_minutes)
        first_step = progress.step
        call_end = progress.minutes + max_minutes if max_minutes else math.inf
        stopped: list[int] = []
        last_save = time.monotonic()
        bar = tqdm(total=config.steps, initial=progress.step, desc="train", unit="step", file=sys.stderr, disable=None)
        with _stop_on_signal(stopped), bar:
            while not stopped and not self._finished() and progress.minutes < call_end:
                started, cpu_started = time.monotonic(), time.process_time()
                loss, gradient_norm = self._step()
                progress.step += 1
                if progress.step % LOG_EVERY == 0 or progress.step % config.validate_every == 0:
                    self._log(gradient_norm)
                if progress.step % config.validate_every == 0:
                    self._validate()
                progress.minutes += (time.monotonic() - started) / 60
                progress.cpu_minutes += (time.process_time() - cpu_started) / 60
                bar.update()
                bar.set_postfix(loss=f"{loss:.4f}", best=f"{progress.best_sdr:.2f} dB", min=f"{progress.minutes:.1f}")
                if time.monotonic() - last_save > SAVE_EVERY_S:
                    self._save()
                    last_save = time.monotonic()
            unvalidated = progress.step > first_step and progress.step % config.validate_every
            if unvalidated and not stopped and (self._finished() or progress.best_sdr == -math.inf):
                if progress.losses:  # else the last row is this step's
                    self._log(gradient_norm)
                self._validate()
        self._save()
        return Result(progress.step, progress.minutes, progress.best_sdr, self._finished(), bool(stopped))

    def _horizon_minutes(self, max_minutes: float | None) -> float:
        """When the run is complete, in minutes; 0: the steps alone decide.

        A linear schedule must know its end: without ``train.minutes`` that is the end of the first call, and once it is
        reached, the end of the call that trains on.
        """
        config, progress = self.preset.train, self.progress
        if config.minutes or config.schedule != "linear":
            return config.minutes
        if max_minutes and progress.minutes >= progress.horizon_minutes:
            return progress.minutes + max_minutes
        return progress.horizon_minutes

    def _share_done(self) -> float:
        progress, config = self.progress, self.preset.train
        of_minutes = progress.minutes / progress.horizon_minutes if progress.horizon_minutes else 0.0
        return max(progress.step / config.steps, of_minutes)

    def _finished(self) -> bool:
        patience = self.preset.train.patience
        return self._share_done() >= 1 or 0 < patience <= self.progress.stale_validations

    def _step(self) -> tuple[float, float]:
        config, step = self.preset.train, self.progress.step
        batch = self.mixer.batch(step, config.batch)
        rate = learning_rate(config, step, self._share_done())
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
        self.network.train()
        mixture, targets = batch.mixture.to(self.device), batch.targets.to(self.device)
        with torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16, enabled=self.bfloat16):
            estimate = self.network(mixture)
        loss = self.loss(estimate, targets)
        loss.backward()
        gradient_norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), config.clip))
        value = float(loss.detach())
        if not (math.isfinite(value) and math.isfinite(gradient_norm)):
            raise FloatingPointError(
                f"step {step}: loss {value}, gradient norm {gradient_norm}; the last good state stays in "
                f"{self.folder.path}, a lower train.lr may help. The batch was: {' | '.join(batch.origins)}"
            )
        for optimizer in self.optimizers:
            optimizer.step()
        self._update_average()
        self.progress.losses.append(value)
        return value, gradient_norm

    @torch.no_grad()
    def _update_average(self) -> None:
        step = self.progress.step
        decay = min(self.preset.train.ema, (1 + step) / (10 + step))
        for averaged, trained in zip(self.average.parameters(), self.network.parameters(), strict=True):
            averaged.lerp_(trained, 1 - decay)
        for kept, current in zip(self.average.buffers(), self.network.buffers(), strict=True):
            kept.copy_(current)

    def _log(self, gradient_norm: float) -> None:
        progress = self.progress
        self.folder.rows.append(
            {
                "step": progress.step,
                "minutes": round(progress.minutes, 3),
                "loss": sum(progress.losses) / len(progress.losses),
                "lr": self.optimizers[0].param_groups[0]["lr"],
                "gradient_norm": gradient_norm,
            }
        )
        progress.losses.clear()

    def _validate(self) -> None:
        progress = self.progress
        state = torch.get_rng_state()
        scores = validation_sdr(self.average, self.pack, self.preset.separate, self.device)
        torch.set_rng_state(state)
        mean = sum(scores.values()) / len(scores)
        row = self.folder.rows[-1]
        row.update({"valid_sdr": mean, **{f"valid_{stem}": score for stem, score in scores.items()}})
        progress.stale_validations += 1
        if mean > progress.best_sdr:
            progress.best_sdr, progress.stale_validations = mean, 0
            info = self._info(scores)
            save_checkpoint(
                self.folder.best, self.average.state_dict(), self.preset, info, model_card(self.preset, info)
            )
        tqdm.write(
            f"step {progress.step}, {progress.minutes:.1f} min: loss {row['loss']:.4f}, validation SDR {mean:.2f} dB ("
            + ", ".join(f"{stem} {score:.2f}" for stem, score in scores.items())
            + ")",
            file=sys.stderr,
        )
        if self.on_validation:
            self.on_validation(dict(row))

    def _info(self, scores: dict[str, float]) -> dict[str, Any]:
        progress, preset = self.progress, self.preset
        return {
            "name": self.folder.path.resolve().name,
            "date": date.today().isoformat(),
            "training_data": f"{self.pack.describe('train')}, from {self.pack.origin}",
            "validation_data": self.pack.describe("valid"),
            "steps": progress.step,
            "minutes": progress.minutes,
            "cpu_minutes": progress.cpu_minutes,
            "seconds_of_mixture_seen": progress.step * preset.train.batch * preset.data.crop_s,
            "hardware": f"{_processor()}, {torch.get_num_threads()} thread(s)" if self.device == "cpu" else _gpu(),
            "precision": "bfloat16 autocast" if self.bfloat16 else "float32",
            "torch": str(torch.__version__),
            "parameters": sum(parameter.numel() for parameter in self.network.parameters()),
            "valid_sdr": scores,
        }

    def _save(self) -> None:
        progress = {name: value for name, value in vars(self.progress).items()}
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "progress": progress,
            "rng": torch.get_rng_state(),
        }
        self.folder.save(state, self.preset)

    def _load(self) -> None:
        state = self.folder.load(self.preset)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.progress = _Progress(**state["progress"])
        torch.set_rng_state(state["rng"])


def _build_loss(preset: Preset) -> nn.Module:
    if preset.train.loss == "waveform":
        return WaveformL1Loss()
    return ComplexL1Loss(getattr(preset.model, "n_fft", LOSS_FFT[0]), getattr(preset.model, "hop", LOSS_FFT[1]))


@contextmanager
def _stop_on_signal(stopped: list[int]) -> Iterator[None]:
    """Let the step in hand finish on Ctrl-C or SIGTERM; a second one acts as usual."""

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


def _keep_freed_memory() -> None:
    """Ask glibc to keep freed blocks: fresh pages for each step's tensors cost a fifth of a CPU step."""
    if sys.platform == "linux" and "glibc" in platform.libc_ver()[0]:
        libc = ctypes.CDLL(None)
        m_trim_threshold, m_mmap_threshold, two_gib = -1, -3, (1 << 31) - 1
        libc.mallopt(m_mmap_threshold, 1 << 30)
        libc.mallopt(m_trim_threshold, two_gib)


def _can_bfloat16(device: str) -> bool:
    """Whether a BLSTM runs in bfloat16 here; some processors raise."""
    lstm = nn.LSTM(8, 8, bidirectional=True).to(device)
    try:
        with torch.autocast(torch.device(device).type, dtype=torch.bfloat16):
            lstm(torch.zeros(2, 2, 8, device=device))[0].sum().backward()
    except RuntimeError:
        print("train.precision: no bfloat16 BLSTM on this processor, float32 instead", file=sys.stderr)
        return False
    return True


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def _gpu() -> str:
    return torch.cuda.get_device_name()
