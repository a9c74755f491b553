"""The processes that train one network together, as ``torchrun`` starts them; alone, one process is the whole world."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

TIMEOUT = timedelta(minutes=30)
"""How long a process waits for the others: longer than a validation of many full songs takes one of them."""


@dataclass(frozen=True)
class World:
    """One process's place among those that train together.

    Attributes:
        rank: of this process, 0 to size - 1; rank 0 writes the files.
        size: number of processes.
        device: where this process computes: "cpu", "cuda" or "cuda:1".
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    def sum(self, *values: float) -> list[float]:
        """Each value summed over all processes, the same on every one."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes in the order of their ranks; plain Python objects only."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def part(self, size: int) -> slice:
        """Which of a batch's examples are this process's.

        Raises:
            ValueError: the examples cannot be shared out evenly.
        """
        if size % self.size:
            raise ValueError(f"train.batch: expected a multiple of the {self.size} processes, got {size}")
        share = size // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def share(self, network: nn.Module) -> nn.Module:
        """The network, with gradients averaged over the processes at each backward pass."""
        if self.size == 1:
            return network
        devices = [torch.device(self.device)] if self.device.startswith("cuda") else None
        return nn.parallel.DistributedDataParallel(network, device_ids=devices)


@contextmanager
def join_world(device: str) -> Iterator[World]:
    """Join the processes that ``torchrun`` started, or be alone.

    Args:
        device: "cpu" (gloo) or "cuda" (NCCL, one GPU a process).
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or "RANK" not in os.environ:
        yield World(device=device)
        return
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=TIMEOUT)
    try:
        yield World(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()
