"""The training loop: any network that maps mixtures to stems, on one process or many, stopped and resumed at will.

A run is made of its step (``TrainingStep``), its clock (``Clock``), its log (``Log``) and its folder (``RunFolder``).
"""

import contextlib
import math
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

from models.checkpoints.checkpoint import save_checkpoint
from models.presets.preset import Preset
from models.running.memory import keep_freed_memory
from models.separation.stream import check_residual
from models.training.clock import Clock
from models.training.data.loader import load_batches
from models.training.data.mixing import Batch, RandomMixer
from models.training.data.packs import Pack
from models.training.initial import initialise
from models.training.loss import build_loss
from models.training.machine import describe_hardware, git_commit, stop_on_signal
from models.training.music import Music
from models.training.optimizer import learning_rate
from models.training.record.card import model_card
from models.training.record.log import Log, say, show_step
from models.training.record.progress import Progress
from models.training.record.run_folder import RunFolder
from models.training.record.track_scores import write_track_scores
from models.training.step import TrainingStep
from models.training.validation import check_validation, mean_over_tracks, track_sdr
from models.training.world import World


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
    validations: int | Sequence[float] = 0,
    until: float = 1.0,
    metric: str = "mean",
    on_validation: Callable[[dict[str, Any]], None] | None = None,
    music: Music | None = None,
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
        validations: validate also at so many equal shares of the run, the last at its end, or at these shares; their
            time does not count.
        until: end this call at this share of the run, with a validation. A linear schedule still ends with the run.
        metric: the validation SDR that ``best/`` is chosen by: ``mean`` of the stems, or one stem.
        on_validation: called with each row of validation results, once they and the state are saved.
        music: what examples are mixed from; by default the pack alone. The time that it takes does not count.

    Raises:
        ValueError: unusable data, a batch that the processes cannot share, a folder that does not fit, or a damaged
            state.
        FileNotFoundError: nothing to resume or to begin with.
        FloatingPointError: the loss is not finite; the message names step and tracks, and the last state stays.
    """
    trainer = _Trainer(preset, pack, out, world or World(), workers, validations, until, metric, on_validation, music)
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
        validations: int | Sequence[float],
        until: float,
        metric: str,
        on_validation: Callable[[dict[str, Any]], None] | None,
        music: Music | None,
    ) -> None:
        config = preset.train
        if not pack.split("valid"):
            raise ValueError("expected validation tracks, got 0; name a folder with a valid or MUSDB train split")
        self.part = world.part(config.batch)
        if config.precision == "float16" and not world.device.startswith("cuda"):
            raise ValueError("train.precision: float16 needs a GPU; use bfloat16 or float32")
        stereo = getattr(preset.model, "stereo", "folded")
        if preset.data.channels == 1 and (stereo == "tac" or preset.architecture != "bsrnn"):
            needs = "model.stereo=tac" if stereo == "tac" else f"the architecture {preset.architecture}"
            raise ValueError(f"data.channels: expected 2 for {needs}, got 1")
        check_residual(preset.separate, preset.model.stems)
        self.mixer = RandomMixer(pack, preset.data, preset.model.stems, config.seed, stereo == "spatial")
        check_validation(pack, preset.model.stems, metric)
        self.preset, self.pack, self.world, self.workers = preset, pack, world, workers
        self.validations, self.until = validations, until
        self.metric, self.on_validation, self.music = metric, on_validation, music
        self.folder = RunFolder(out)

    def run(self, max_minutes: float | None, resume: bool, initial: Path | None) -> Result:
        """Take steps until the run or this call is over; then its weights are validated and its state is saved."""
        self._begin(resume, initial)
        progress, log = self.progress, self.log
        clock = Clock(self.preset.train, progress, self.world, max_minutes, self.validations, self.until)
        stop_signals: list[int] = []
        bar = log.open_bar(progress, self.preset.train.steps)
        with stop_on_signal(stop_signals), bar, contextlib.closing(self._batches()) as batches:
            while not clock.is_over:
                clock.start_step()
                batch = next(batches)
                clock.end_wait()
                loss = self._take_step(batch, clock.share_done)
                if clock.is_time_to_log:
                    self._add_row()
                if clock.is_time_to_validate:
                    self._validate()
                log.count_step(*clock.end_step(stop_signals))
                if clock.has_completed_a_share and not log.is_validated(progress.step):
                    self._validate()
                show_step(bar, progress, loss)
                if clock.is_time_to_save:
                    self._save()
                    clock.note_save()
                if log.is_validated(progress.step) and not clock.is_over:
                    self._follow_music(lambda: bool(stop_signals))
            if not clock.is_stopped and self._lacks_validation(clock.has_reached_its_share):
                self._validate()
        self._save()
        return Result(progress.step, progress.minutes, progress.best_sdr, clock.is_finished, clock.is_stopped)

    def _begin(self, resume: bool, initial: Path | None) -> None:
        """Make the network and all that trains it, as the folder or a checkpoint has it or from nothing."""
        preset, world = self.preset, self.world
        if resume and initial:
            raise ValueError("--init begins a run and --resume goes on with one: give one of them")
        saved = self.folder.load(preset) if resume else None
        if not resume:
            self.folder.refuse_overwrite()
        keep_freed_memory()
        torch.manual_seed(preset.train.seed)
        network = preset.build_network().to(world.device)
        self.progress = Progress()
        if initial:
            beginning = initialise(network, initial)
            self.progress.began_with = beginning.identity
            self.progress.earlier_cpu_minutes = beginning.cpu_minutes
            if world.rank == 0:
                say(f"begins with {beginning.identity}; new: {', '.join(beginning.kept) or 'nothing'}")
        world.gather(None)  # every process has looked at the folder before one writes to it
        self.step = TrainingStep(network, build_loss(preset).to(world.device), preset.train, world)
        if saved:
            self._restore(saved)
        self.log = Log(self.folder.rows, preset.train.batch, is_silent=world.rank > 0)
        if world.rank == 0:
            self.folder.describe(preset, {"git_commit": git_commit(), "arguments": sys.argv[1:]})
        self._follow_music(lambda: False)

    def _restore(self, state: dict[str, Any]) -> None:
        try:
            self.progress = Progress.from_state(state["progress"])
        except ValueError as error:
            raise ValueError(f"{self.folder.path}: the saved state cannot be resumed ({_one_line(error)})") from None
        try:
            self.step.load(state)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            reason = _one_line(error)
            raise ValueError(f"{self.folder.path}: the saved state does not fit this network ({reason})") from None

    def _batches(self) -> Generator[Batch, None, None]:
        """The batches of the steps to come, made by the mixer of the moment."""
        config, device = self.preset.train, self.world.device
        mixer = None
        while mixer is not self.mixer:
            mixer, first = self.mixer, self.progress.step
            made = load_batches(mixer, config.batch, self.part, first, config.steps, self.workers, device)
            with contextlib.closing(made):
                for batch in made:
                    yield batch
                    if mixer is not self.mixer:
                        break

    def _follow_music(self, is_stopped: Callable[[], bool]) -> None:
        """Mix from now on what the music says after the last validation."""
        if self.music and (
            mixer := self.music.follow(self.log.rows, self.progress.step, self.step.average, is_stopped)
        ):
            self.mixer = mixer

    def _take_step(self, batch: Batch, share_done: float) -> float:
        """One optimiser step; returns the loss of the whole batch."""
        progress = self.progress
        try:
            loss = self.step.take(batch, progress, learning_rate(self.preset.train, progress.step, share_done))
        except FloatingPointError as error:
            self._save()
            raise FloatingPointError(f"{error}; the last good state stays in {self.folder.path}") from None
        progress.step += 1
        return loss

    def _add_row(self) -> None:
        self.log.add_row(self.progress, self.step.rate, self.step.gradient_norm)

    def _lacks_validation(self, has_reached_its_share: bool) -> bool:
        """Whether a call would leave no validated weights, or not those of its end, as after a kill."""
        progress = self.progress
        if not progress.step or self.log.is_validated(progress.step):
            return False
        return has_reached_its_share or progress.best_sdr == -math.inf

    def _validate(self) -> None:
        """Add the validation SDR to this step's row of metrics, keep the weights, and save."""
        progress, preset, average = self.progress, self.preset, self.step.average
        if not self.log.has_row(progress.step):
            self._add_row()
        tracks = track_sdr(average, self.pack, preset.separate, self.world)
        scores = mean_over_tracks(tracks)
        row = self.log.add_validation(progress, scores)
        is_best = progress.note_validation(row["valid_sdr"] if self.metric == "mean" else scores[self.metric])
        if self.world.rank > 0:
            return
        write_track_scores(self.folder.path, progress.step, tracks)
        facts = self._facts(scores)
        for folder in (self.folder.best, self.folder.last) if is_best else (self.folder.last,):
            save_checkpoint(folder, average.state_dict(), preset, facts, model_card(preset, facts))
        self.log.say_validation(progress)
        self._save()
        if self.on_validation:
            self.on_validation(dict(row))

    def _facts(self, scores: dict[str, float]) -> dict[str, Any]:
        """What a checkpoint's ``config.json`` and model card say of its training."""
        progress, preset = self.progress, self.preset
        more = [self.music.origins()] if self.music else []
        return {
            "name": self.folder.path.resolve().name,
            "date": date.today().isoformat(),
            "training_data": ", ".join([f"{self.pack.describe('train')}, from {self.pack.origin}", *more]),
            "validation_data": self.pack.describe("valid"),
            **(self.music.facts() if self.music else {}),
            "steps": progress.step,
            "minutes": progress.minutes,
            "cpu_minutes": progress.cpu_minutes,
            "began_with": progress.began_with or "nothing",
            "cpu_minutes_in_all": progress.earlier_cpu_minutes + progress.cpu_minutes,
            "seconds_of_mixture_seen": progress.step * preset.train.batch * preset.data.crop_s,
            "hardware": describe_hardware(self.world.device, self.world.size),
            "precision": self.step.precision,
            "torch": str(torch.__version__),
            "parameters": sum(parameter.numel() for parameter in self.step.network.parameters()),
            "valid_sdr": scores,
        }

    def _save(self) -> None:
        if self.world.rank == 0:
            self.folder.save({**self.step.state(), "progress": self.progress.to_state()}, self.preset)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
