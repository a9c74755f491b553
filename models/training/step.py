"""One optimiser step: loss, gradients, weights and their average; or, where they are not finite, none of them."""

import copy
import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from models.presets.training import TrainConfig
from models.training.data.mixing import Batch
from models.training.machine import can_bfloat16
from models.training.optimizer import build_optimizers
from models.training.record.log import say
from models.training.record.progress import Progress
from models.training.robust import TruncatedLoss, taught_targets
from models.training.world import World

SKIPS_IN_A_ROW = 10
"""Steps that ``train.non_finite=skip`` leaves out before it stops."""
SMALLEST_SCALE = 2.0**-13
"""Of float16's gradients: a lower one is no help against an overflow. Source: fairseq stops at 1e-4."""
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class TrainingStep:
    """Trains a network step by step, on this process's part of each batch.

    Args:
        network: on the device; its weights are changed.
        loss: (``Estimate``, targets [B, S, C, T]) to a scalar, on the device.
        config: optimiser, precision, average, and what is done where a loss is not finite.
        world: the processes that train together.

    Attributes:
        network: as it is trained.
        average: the average of its weights over the steps, which is validated and kept.
        gradient_norm: of the last step, before clipping; NaN before the first.
    """

    def __init__(self, network: nn.Module, loss: nn.Module, config: TrainConfig, world: World) -> None:
        self.network, self.config, self.world = network, config, world
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.gradient_norm = math.nan
        self._loss = loss
        self._dtype = DTYPES.get(config.precision)
        if self._dtype is torch.bfloat16 and not can_bfloat16(world.device):
            self._dtype = None
        half = torch.bfloat16 if self._dtype is torch.bfloat16 else torch.float32
        self._optimizers = build_optimizers(network, config, half)
        self._device_type = torch.device(world.device).type
        self._scaler = torch.amp.GradScaler(self._device_type, enabled=self._dtype is torch.float16)
        self._shared = world.share(network)

    @property
    def rate(self) -> float:
        """Learning rate of the last step."""
        return self._optimizers[0].param_groups[0]["lr"]

    @property
    def precision(self) -> str:
        """What the network computes in, for the model card."""
        return f"{self.config.precision} autocast" if self._dtype else "float32"

    def state(self) -> dict[str, Any]:
        """What a resumed run needs: weights, their average, optimisers and the scale of float16's gradients."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "scaler": self._scaler.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` gave.

        Raises:
            RuntimeError, ValueError, KeyError, TypeError: it is another network's, or none.
        """
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self._scaler.load_state_dict(state["scaler"])

    def take(self, batch: Batch, progress: Progress, rate: float) -> float:
        """Take a step, or leave it out if loss or gradient is not finite; returns the loss of the whole batch.

        Args:
            batch: this process's part of it.
            progress: its losses and skips are changed.
            rate: learning rate.

        Raises:
            FloatingPointError: loss or gradient is not finite and ``train.non_finite`` says to stop; weights, average
                and statistics of batch norm are those before the step.
        """
        torch.manual_seed(hash((self.config.seed, progress.step, self.world.rank)))  # dropout, alike after a resume
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
        self.network.train()
        if isinstance(self._loss, TruncatedLoss):
            self._loss.step = progress.step
        batch = replace(batch, targets=taught_targets(self.average, batch.targets, self.config, progress.step))
        buffers = [buffer.clone() for buffer in self.network.buffers()]
        loss, culprits = self._backward(batch)
        for optimizer in self._optimizers:
            self._scaler.unscale_(optimizer)
        self.gradient_norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip))
        if math.isfinite(loss) and math.isfinite(self.gradient_norm):
            for optimizer in self._optimizers:
                self._scaler.step(optimizer)
            self._update_average(progress.step)
            progress.losses.append(loss)
            progress.skips_in_a_row = 0
        else:
            for buffer, before in zip(self.network.buffers(), buffers, strict=True):
                buffer.copy_(before)  # the statistics of batch norm took part in the step
            self._skip(loss, culprits, progress)
        self._scaler.update()
        if self._scaler.get_scale() < SMALLEST_SCALE:
            self._scaler.update(SMALLEST_SCALE)
        return loss

    def _backward(self, batch: Batch) -> tuple[float, list[str]]:
        """Gradients of a batch; its loss over all processes, and which examples here have no finite estimate."""
        mixture, targets = batch.mixture, batch.targets
        input_channels, output_channels = mixture.shape[1], targets.shape[2]
        with torch.autocast(self._device_type, dtype=self._dtype, enabled=self._dtype is not None):
            if input_channels == output_channels:
                estimate = self._shared(mixture)
            else:
                estimate = self._shared(mixture, output_channels)
        loss = self._loss(estimate, targets)
        self._scaler.scale(loss).backward()
        value = float(loss.detach())
        culprits = [] if math.isfinite(value) else _not_finite(estimate.waveforms.detach(), batch.origins)
        (total,) = self.world.sum(value)
        return total / self.world.size, culprits

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        decay = min(self.config.ema, (1 + step) / (10 + step))
        for averaged, trained in zip(self.average.parameters(), self.network.parameters(), strict=True):
            averaged.lerp_(trained, 1 - decay)
        for kept, current in zip(self.average.buffers(), self.network.buffers(), strict=True):
            kept.copy_(current)

    def _skip(self, loss: float, culprits: list[str], progress: Progress) -> None:
        """Leave the step out, or raise FloatingPointError."""
        progress.skipped += 1
        is_overflow = self._scaler.is_enabled() and math.isfinite(loss)
        if is_overflow and self._scaler.get_scale() > SMALLEST_SCALE:
            return  # the scaler lowers its scale, which is enough
        found = [each for part in self.world.gather(culprits) for each in part] or ["its estimates are finite"]
        if self._scaler.is_enabled():
            found.append(f"the scale of float16's gradients is {self._scaler.get_scale():g}")
        message = f"step {progress.step}: loss {loss}, gradient norm {self.gradient_norm}; {' | '.join(found)}"
        progress.skips_in_a_row += 1
        if self.config.non_finite == "stop" or progress.skips_in_a_row >= SKIPS_IN_A_ROW:
            other = " or train.precision=bfloat16" if self._scaler.is_enabled() else ""
            raise FloatingPointError(f"{message}; a lower train.lr{other} may help")
        if self.world.rank == 0:
            say(f"skipped {message}")


def _not_finite(waveforms: Tensor, origins: tuple[str, ...]) -> list[str]:
    """The origins of the examples [B, ...] whose estimate is not finite."""
    finite = waveforms.isfinite().flatten(1).all(dim=1).tolist()
    return [f"not finite: {origin}" for origin, good in zip(origins, finite, strict=True) if not good]
