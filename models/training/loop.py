"""The training loop: any network that maps mixtures to stems, on one process or many, stopped and resumed at will."""

import contextlib
import copy
import math
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from models.checkpoints.checkpoint import save_checkpoint
from models.presets.preset import Preset
from models.training.card import model_card
from models.training.initial import initialise
from models.training.loader import load_batches
from models.training.loss import build_loss
from models.training.machine import can_bfloat16, describe_hardware, git_commit, keep_freed_memory, stop_on_signal
from models.training.mixing import Batch, RandomMixer
from models.training.optimizer import build_optimizers, learning_rate
from models.training.packs import Pack
from models.training.robust import TruncatedLoss, taught_targets
from models.training.run_folder import RunFolder
from models.training.validation import check_validation, validation_sdr
from models.training.world import World

SAVE_EVERY_S = 60.0
LOG_EVERY = 50
SKIPS_IN_A_ROW = 10
SMALLEST_SCALE = 2.0**-13
"""Of float16's gradients: an overflow here is no longer a matter of the scale. Source: fairseq stops at 1e-4."""


@dataclass(frozen=True)
class Result:
    """How a call of ``train`` ended.

    Attributes:
        steps: optimiser steps of the run so far.
        minutes: minutes of the run so far.
        best_sdr: best validation SDR, by the metric of the run, dB; -inf before the first validation.
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
    cpu_minutes: float = 0.0
    began_with: str = ""
    earlier_cpu_minutes: float = 0.0
    horizon_minutes: float = 0.0
    best_sdr: float = -math.inf
    stale_validations: int = 0
    skipped: int = 0
    skips_in_a_row: int = 0
    losses: list[float] = field(default_factory=list)


@dataclass
class _Interval:
    """What happened since the last row of metrics."""

    steps: int = 0
    seconds: float = 0.0
    waited_s: float = 0.0


def train(
    preset: Preset,
    pack: Pack,
    out: Path,
    *,
    max_minutes: float | None = None,
    resume: bool = False,
    initial: Path | None = None,
    workers: int = 0,
    world: World | None = None,
    validations: int = 0,
    metric: str = "mean",
    on_validation: Callable[[dict[str, Any]], None] | None = None,
) -> Result:
    """Train a preset's network, or go on training it.

    The batch of each step follows from the seed and the step alone, whatever the processes and workers that make it, so
    a resumed run of a fixed number of steps gives the same losses on a CPU as one that was never stopped. The caller
    keeps ``out`` to this process, see ``models.running.folder_lock``.

    Args:
        preset: network, data and optimisation.
        pack: decoded tracks.
        out: the run's folder, see ``RunFolder``.
        max_minutes: end this call after so many minutes; the run's length is ``train.steps`` or ``train.minutes``.
        resume: go on from ``out``.
        initial: a checkpoint to begin with, see ``initialise``.
        workers: processes that make batches ahead.
        world: the processes that train together; alone on the CPU by default.
        validations: validate also at so many equal shares of the run, the last at its end; their time does not count.
        metric: the validation SDR that ``best/`` is chosen by: ``mean`` of the stems, or one stem.
        on_validation: called with each row of validation results, once they and the state are saved.

    Raises:
        ValueError: unusable data, a batch that the processes cannot share, a folder that does not fit, or a damaged
            state.
        FileNotFoundError: nothing to resume or to begin with.
        FloatingPointError: the loss is not finite; the message names step and tracks, and the last state stays.
    """
    trainer = _Trainer(preset, pack, out, world or World(), workers, validations, metric, on_validation)
    with contextlib.closing(trainer.folder):
        return trainer.run(max_minutes, resume, initial)


class _Trainer:
    def __init__(
        self,
        preset: Preset,
        pack: Pack,
        out: Path,
        world: World,
        workers: int,
        validations: int,
        metric: str,
        on_validation: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        config = preset.train
        if not pack.split("valid"):
            raise ValueError("expected validation tracks, got 0; name a folder with a valid or MUSDB train split")
        self.part = world.part(config.batch)
        if (share := config.batch // world.size) % config.accumulate:
            raise ValueError(f"train.accumulate: expected a divisor of {share} examples, got {config.accumulate}")
        if config.precision == "float16" and not world.device.startswith("cuda"):
            raise ValueError("train.precision: float16 needs a GPU; use bfloat16 or float32")
        stereo = getattr(preset.model, "stereo", "folded")
        if stereo in ("features", "tac") and preset.data.channels == 1:
            raise ValueError(f"data.channels: expected 2 for model.stereo={stereo}, got 1")
        self.mixer = RandomMixer(pack, preset.data, preset.model.stems, config.seed, stereo == "spatial")
        check_validation(pack, preset.model.stems, metric)
        keep_freed_memory()
        torch.manual_seed(config.seed)
        self.preset, self.pack, self.world, self.workers = preset, pack, world, workers
        self.validations, self.metric, self.on_validation = validations, metric, on_validation
        self.folder = RunFolder(out)
        self.network = preset.build_network().to(world.device)
        self.loss = build_loss(preset).to(world.device)
        self.dtype = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(config.precision)
        self.progress, self.interval = _Progress(), _Interval()

    def run(self, max_minutes: float | None, resume: bool, initial: Path | None) -> Result:
        self._begin(resume, initial)
        config, progress = self.preset.train, self.progress
        progress.horizon_minutes = self._horizon_minutes(max_minutes)
        gradient_norm = math.nan
        call_end = progress.minutes + max_minutes if max_minutes else math.inf
        stopped: list[int] = []
        last_save = time.monotonic()
        bar = tqdm(
            total=config.steps,
            initial=progress.step,
            desc="train",
            unit="step",
            file=sys.stderr,
            disable=None if self.world.rank == 0 else True,
        )
        with stop_on_signal(stopped), bar, contextlib.closing(self._batches()) as batches:
            stop = False
            while not stop and not self._finished() and progress.minutes < call_end:
                started, cpu_started = time.monotonic(), time.process_time()
                share = int(self._share_done() * self.validations)
                batch = next(batches)
                waited_s = time.monotonic() - started
                loss, gradient_norm = self._step(batch)
                progress.step += 1
                if progress.step % LOG_EVERY == 0:
                    self._log(gradient_norm)
                if progress.step % config.validate_every == 0:
                    self._validate(gradient_norm)
                stop = self._pass_time(time.monotonic() - started, time.process_time() - cpu_started, waited_s, stopped)
                if int(self._share_done() * self.validations) > share and not self._is_validated:
                    self._validate(gradient_norm)
                bar.update()
                bar.set_postfix(loss=f"{loss:.4f}", best=f"{progress.best_sdr:.2f} dB", min=f"{progress.minutes:.1f}")
                if time.monotonic() - last_save > SAVE_EVERY_S:
                    self._save()
                    last_save = time.monotonic()
            unvalidated = progress.step > 0 and not self._is_validated  # a kill may have come before the last one
            if unvalidated and not stop and (self._finished() or progress.best_sdr == -math.inf):
                self._validate(gradient_norm)
        self._save()
        return Result(progress.step, progress.minutes, progress.best_sdr, self._finished(), stop)

    def _begin(self, resume: bool, initial: Path | None) -> None:
        """Load what there is to load; the trained weights, their average and the optimisers' state."""
        world, config = self.world, self.preset.train
        if resume and initial:
            raise ValueError("--init begins a run and --resume goes on with one: give one of them")
        saved = self.folder.load(self.preset) if resume else None
        if not resume:
            self.folder.refuse_overwrite()
        if initial:
            beginning = initialise(self.network, initial)
            self.progress.began_with = beginning.identity
            self.progress.earlier_cpu_minutes = beginning.cpu_minutes
            if world.rank == 0:
                _say(f"begins with {beginning.identity}; new: {', '.join(beginning.kept) or 'nothing'}")
        world.gather(None)  # every process has looked at the folder before one writes to it
        if self.dtype is torch.bfloat16 and not can_bfloat16(world.device):
            self.dtype = None
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        half = torch.bfloat16 if self.dtype is torch.bfloat16 else torch.float32
        self.optimizers = build_optimizers(self.network, config, half)
        self.scaler = torch.amp.GradScaler(self._device_type, enabled=self.dtype is torch.float16)
        if saved:
            self._restore(saved)
        self.shared = world.share(self.network)
        if world.rank == 0:
            self.folder.describe(self.preset, {"git_commit": git_commit(), "arguments": sys.argv[1:]})

    @property
    def _device_type(self) -> str:
        return torch.device(self.world.device).type

    def _batches(self) -> Generator[Batch, None, None]:
        config, device = self.preset.train, self.world.device
        return load_batches(self.mixer, config.batch, self.part, self.progress.step, config.steps, self.workers, device)

    def _pass_time(self, seconds: float, cpu_seconds: float, waited_s: float, stopped: list[int]) -> bool:
        """Count a step's time, alike on all processes; whether any of them was asked to stop."""
        progress, interval, size = self.progress, self.interval, self.world.size
        seconds, cpu_seconds, waited_s, stops = self.world.sum(seconds, cpu_seconds, waited_s, len(stopped))
        progress.minutes += seconds / size / 60
        progress.cpu_minutes += cpu_seconds / 60
        interval.steps += 1
        interval.seconds += seconds / size
        interval.waited_s += waited_s / size
        return stops > 0

    def _horizon_minutes(self, max_minutes: float | None) -> float:
        """When the run is complete, in minutes of ``train.clock``; 0: the steps alone decide.

        A linear schedule must know its end: without ``train.minutes`` that is the end of the first call, and once it is
        reached, the end of the call that trains on.
        """
        config, progress = self.preset.train, self.progress
        if config.minutes or config.schedule != "linear":
            return config.minutes
        if max_minutes and self._clock_minutes() >= progress.horizon_minutes:
            return self._clock_minutes() + max_minutes
        return progress.horizon_minutes

    def _clock_minutes(self) -> float:
        return self.progress.cpu_minutes if self.preset.train.clock == "processor" else self.progress.minutes

    def _share_done(self) -> float:
        progress, config = self.progress, self.preset.train
        of_minutes = self._clock_minutes() / progress.horizon_minutes if progress.horizon_minutes else 0.0
        return max(progress.step / config.steps, of_minutes)

    def _finished(self) -> bool:
        patience = self.preset.train.patience
        return self._share_done() >= 1 or 0 < patience <= self.progress.stale_validations

    def _step(self, batch: Batch) -> tuple[float, float]:
        """One optimiser step on this process's part of a batch; the loss of the whole batch and its gradient norm."""
        config, step, world = self.preset.train, self.progress.step, self.world
        torch.manual_seed(hash((config.seed, step, world.rank)))  # dropout, alike after a resume
        rate = learning_rate(config, step, self._share_done())
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
        self.network.train()
        if isinstance(self.loss, TruncatedLoss):
            self.loss.step = step
        batch = replace(batch, targets=taught_targets(self.average, batch.targets, config, step))
        buffers = [buffer.clone() for buffer in self.network.buffers()]
        value, bad = self._backward(batch)
        for optimizer in self.optimizers:
            self.scaler.unscale_(optimizer)
        gradient_norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), config.clip))
        if math.isfinite(value) and math.isfinite(gradient_norm):
            for optimizer in self.optimizers:
                self.scaler.step(optimizer)
            self._update_average()
            self.progress.losses.append(value)
            self.progress.skips_in_a_row = 0
        else:
            for buffer, before in zip(self.network.buffers(), buffers, strict=True):
                buffer.copy_(before)  # the statistics of batch norm took part in the step
            self.progress.skipped += 1
            overflow = self.scaler.is_enabled() and math.isfinite(value)
            if not overflow or self.scaler.get_scale() <= SMALLEST_SCALE:  # else a lower scale is enough
                self._meet_non_finite(value, gradient_norm, bad)
        self.scaler.update()
        if self.scaler.get_scale() < SMALLEST_SCALE:
            self.scaler.update(SMALLEST_SCALE)
        return value, gradient_norm

    def _backward(self, batch: Batch) -> tuple[float, list[str]]:
        """Gradients of a batch; its loss over all processes, and which examples here gave no finite estimate."""
        parts = self.preset.train.accumulate
        loss_sum, bad = 0.0, []
        pieces = zip(batch.mixture.chunk(parts), batch.targets.chunk(parts), strict=True)
        for index, (mixture, targets) in enumerate(pieces):
            last = index == parts - 1
            waits = self.world.size > 1 and not last  # gradients are averaged over the processes once
            with self.shared.no_sync() if waits else contextlib.nullcontext():  # type: ignore[operator]
                with torch.autocast(self._device_type, dtype=self.dtype, enabled=self.dtype is not None):
                    heard, estimated = mixture.shape[1], targets.shape[2]
                    estimate = self.shared(mixture) if heard == estimated else self.shared(mixture, estimated)
                loss = self.loss(estimate, targets)
                self.scaler.scale(loss / parts).backward()
            piece = float(loss.detach())
            if not math.isfinite(piece):
                origins = batch.origins[index * len(mixture) : (index + 1) * len(mixture)]
                bad += _not_finite(estimate.waveforms.detach(), origins)
            loss_sum += piece
        (total,) = self.world.sum(loss_sum)
        return total / (parts * self.world.size), bad

    def _meet_non_finite(self, loss: float, gradient_norm: float, bad: list[str]) -> None:
        """Leave the step out, or stop with the last good weights saved."""
        progress, config = self.progress, self.preset.train
        culprits = [culprit for part in self.world.gather(bad) for culprit in part] or ["its estimates are finite"]
        if self.scaler.is_enabled():
            culprits.append(f"the scale of float16's gradients is {self.scaler.get_scale():g}")
        message = f"step {progress.step}: loss {loss}, gradient norm {gradient_norm}; {' | '.join(culprits)}"
        progress.skips_in_a_row += 1
        if config.non_finite == "stop" or progress.skips_in_a_row >= SKIPS_IN_A_ROW:
            self._save()
            raise FloatingPointError(
                f"{message}; the last good state stays in {self.folder.path}, a lower train.lr may help"
                + (", or train.precision=bfloat16" if self.scaler.is_enabled() else "")
            )
        if self.world.rank == 0:
            _say(f"skipped {message}")

    @torch.no_grad()
    def _update_average(self) -> None:
        step = self.progress.step
        decay = min(self.preset.train.ema, (1 + step) / (10 + step))
        for averaged, trained in zip(self.average.parameters(), self.network.parameters(), strict=True):
            averaged.lerp_(trained, 1 - decay)
        for kept, current in zip(self.average.buffers(), self.network.buffers(), strict=True):
            kept.copy_(current)

    def _log(self, gradient_norm: float) -> None:
        progress, interval = self.progress, self.interval
        seconds = max(interval.seconds, 1e-9)
        row = {
            "step": progress.step,
            **self._spent(),
            "loss": sum(progress.losses) / len(progress.losses) if progress.losses else math.nan,
            "lr": self.optimizers[0].param_groups[0]["lr"],
            "gradient_norm": gradient_norm,
            "skipped": progress.skipped,
        }
        if interval.steps:
            row["examples_per_s"] = round(interval.steps * self.preset.train.batch / seconds, 3)
            row["idle_share"] = round(interval.waited_s / seconds, 4)
        self.folder.rows.append(row)
        progress.losses.clear()
        self.interval = _Interval()

    def _spent(self) -> dict[str, float]:
        """Minutes so far, for a row of metrics."""
        return {"minutes": round(self.progress.minutes, 6), "cpu_minutes": round(self.progress.cpu_minutes, 6)}

    @property
    def _is_validated(self) -> bool:
        rows = self.folder.rows
        return bool(rows) and rows[-1]["step"] == self.progress.step and "valid_sdr" in rows[-1]

    def _validate(self, gradient_norm: float) -> None:
        """Add the validation SDR to this step's row of metrics, keep the weights, and save."""
        progress, rows = self.progress, self.folder.rows
        if not rows or rows[-1]["step"] != progress.step:
            self._log(gradient_norm)
        row = rows[-1]
        scores = validation_sdr(self.average, self.pack, self.preset.separate, self.world)
        mean = sum(scores.values()) / len(scores)
        row.update({**self._spent(), "valid_sdr": mean, **{f"valid_{stem}": score for stem, score in scores.items()}})
        progress.stale_validations += 1
        score = mean if self.metric == "mean" else scores[self.metric]
        better = score > progress.best_sdr
        if better:
            progress.best_sdr, progress.stale_validations = score, 0
        if self.world.rank > 0:
            return
        for folder in (self.folder.best, self.folder.last) if better else (self.folder.last,):
            info = self._info(scores)
            save_checkpoint(folder, self.average.state_dict(), self.preset, info, model_card(self.preset, info))
        stems = ", ".join(f"{stem} {score:.2f}" for stem, score in scores.items())
        _say(
            f"step {progress.step}, {progress.minutes:.1f} min: "
            f"loss {row['loss']:.4f}, validation SDR {mean:.2f} dB ({stems})"
        )
        self._save()
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
            "began_with": progress.began_with or "nothing",
            "cpu_minutes_in_all": progress.earlier_cpu_minutes + progress.cpu_minutes,
            "seconds_of_mixture_seen": progress.step * preset.train.batch * preset.data.crop_s,
            "hardware": describe_hardware(self.world.device, self.world.size),
            "precision": f"{preset.train.precision} autocast" if self.dtype else "float32",
            "torch": str(torch.__version__),
            "parameters": sum(parameter.numel() for parameter in self.network.parameters()),
            "valid_sdr": scores,
        }

    def _save(self) -> None:
        if self.world.rank > 0:
            return
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "scaler": self.scaler.state_dict(),
            "progress": dict(vars(self.progress)),
        }
        self.folder.save(state, self.preset)

    def _restore(self, state: dict[str, Any]) -> None:
        try:
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self.scaler.load_state_dict(state["scaler"])
            self.progress = _Progress(**state["progress"])
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"{self.folder.path}: the saved state does not fit this network ({reason})") from None


def _say(message: str) -> None:
    """A line above the progress bar; a terminal that has gone must not end a run."""
    with contextlib.suppress(OSError):
        tqdm.write(message, file=sys.stderr)


def _not_finite(waveforms: Tensor, origins: tuple[str, ...]) -> list[str]:
    """The origins of the examples [B, ...] whose estimate is not finite."""
    finite = waveforms.isfinite().flatten(1).all(dim=1).tolist()
    return [f"not finite: {origin}" for origin, good in zip(origins, finite, strict=True) if not good]
