"""Optimisers and learning-rate schedules."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from models.presets.training import TrainConfig

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ORTHOGONAL_STEPS = 5


def orthogonalise(matrices: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Matrices with about the same singular vectors and all singular values near 1, [..., rows, columns].

    Args:
        matrices: float32.
        dtype: what to compute in; bfloat16 is as good, and twice as fast where the processor has it.

    Source: Jordan et al. 2024 (Muon), the quintic Newton-Schulz iteration, there in bfloat16.
    """
    a, b, c = NEWTON_SCHULZ
    wide = matrices.shape[-1] >= matrices.shape[-2]
    x = matrices if wide else matrices.mT
    x = (x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)).to(dtype)
    x = x.reshape(-1, *x.shape[-2:])
    for _ in range(ORTHOGONAL_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    x = x.reshape(*matrices.shape[:-2], *x.shape[-2:])
    return (x if wide else x.mT).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum whose update of each matrix is orthogonalised; a 3-D weight is a stack of matrices.

    The update is scaled to the size of Adam's (0.2 sqrt(larger dimension)), so that one learning rate serves both.
    torch.optim.Muon takes single matrices only.

    Args:
        parameters: tensors of two dimensions or more.
        lr: learning rate, in Adam's units.
        momentum: Nesterov momentum.
        dtype: what updates are orthogonalised in.

    Source: Jordan et al. 2024; the scale is that of Liu et al. 2025 (arXiv 2502.16982).
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.95, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update. Matrices of one shape are orthogonalised together."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes.setdefault(parameter.shape, []).append(parameter)
            for shape, parameters in shapes.items():
                updates = torch.stack([self._momentum(parameter, group["momentum"]) for parameter in parameters])
                scale = 0.2 * max(shape[-2:]) ** 0.5 * group["lr"]
                for parameter, update in zip(parameters, orthogonalise(updates, self.dtype), strict=True):
                    parameter.add_(update, alpha=-scale)

    def _momentum(self, parameter: Tensor, momentum: float) -> Tensor:
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(state["momentum"], momentum)


def build_optimizers(
    network: nn.Module, config: TrainConfig, dtype: torch.dtype = torch.float32
) -> list[torch.optim.Optimizer]:
    """Adam on everything, or Muon (orthogonalising in ``dtype``) on matrices and Adam on norms, biases and scales."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if config.optimizer == "adam":
        return [torch.optim.Adam(parameters, lr=config.lr)]
    matrices = [
        parameter for parameter in parameters if min(parameter.shape[-2:], default=1) > 1 and parameter.ndim > 1
    ]
    chosen = {id(parameter) for parameter in matrices}
    rest = [parameter for parameter in parameters if id(parameter) not in chosen]
    return [Muon(matrices, lr=config.lr, dtype=dtype), torch.optim.Adam(rest, lr=config.lr)]


def learning_rate(config: TrainConfig, step: int, progress: float) -> float:
    """Learning rate of a step.

    Args:
        config: the schedule.
        step: steps done.
        progress: share of the run that is done, 0 to 1; the linear schedule ends at 1.
    """
    warmup = min(1.0, (step + 1) / (config.warmup_steps + 1))
    if config.schedule == "linear":
        return config.lr * warmup * max(0.0, 1 - progress)
    return config.lr * warmup * config.decay ** (step // config.decay_steps)
