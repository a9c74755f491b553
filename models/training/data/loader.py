"""Batches made ahead of the network, by worker processes or in this one."""

import signal
from collections.abc import Generator

import torch
from torch.utils.data import DataLoader, Dataset

from models.training.data.mixing import Batch, RandomMixer

PREFETCH = 4


class _Steps(Dataset):
    """The batch of each step, or this process's part of it."""

    def __init__(self, mixer: RandomMixer, size: int, part: slice) -> None:
        self.mixer, self.size, self.part = mixer, size, part

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor, tuple[str, ...]]:
        batch = self.mixer.batch(step, self.size, self.part)
        return batch.mixture, batch.targets, batch.origins


def load_batches(
    mixer: RandomMixer, size: int, part: slice, first_step: int, last_step: int, workers: int, device: str
) -> Generator[Batch, None, None]:
    """The batches of consecutive steps, on the device.

    Args:
        mixer: makes them; a batch does not depend on who makes it.
        size: examples of a step, over all processes.
        part: which of them are wanted here.
        first_step: where to begin.
        last_step: where to end, exclusive.
        workers: processes that make batches ahead; 0 makes each when it is asked for.
        device: "cpu" or "cuda"; batches reach a GPU through pinned memory.
    """
    on_gpu = device.startswith("cuda")
    loader = DataLoader(
        _Steps(mixer, size, part),
        batch_size=None,
        sampler=range(first_step, last_step),
        num_workers=workers,
        pin_memory=on_gpu,
        prefetch_factor=PREFETCH if workers else None,
        worker_init_fn=_leave_signals_to_the_parent,
    )
    for mixture, targets, origins in loader:
        yield Batch(mixture.to(device, non_blocking=True), targets.to(device, non_blocking=True), tuple(origins))


def _leave_signals_to_the_parent(_worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; the trainer finishes its step and then ends the workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
