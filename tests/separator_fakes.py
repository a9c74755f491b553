"""Separators of a user, for `--system separator_fakes:NAME`."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import torch


class Halves:
    """Halves of the mixture as vocals and drums, as tensors."""

    stems = ("vocals", "drums")
    sample_rate = 44100

    def __init__(self):
        self.network = torch.nn.Linear(3, 4)

    def separate(self, mixture, sample_rate=None):
        return {stem: torch.from_numpy(mixture) / 2 for stem in self.stems}


class Counted(Halves):
    """Has an attribute with its number of parameters."""

    parameters = 5


class Nameless:
    """Has only `separate`."""

    def separate(self, mixture, sample_rate):
        return {"vocals": mixture / 2, "accompaniment": mixture / 3}


class Built(Halves):
    """Remembers how it was made."""

    def __init__(self, depth, kind="slow", device="nowhere"):
        super().__init__()
        self.parameters = depth
        self.made = (depth, kind, device)


class Forgetful(Halves):
    """Returns fewer stems than `stems` has."""

    def separate(self, mixture, sample_rate=None):
        return {"vocals": mixture}


class Broken(Halves):
    """Cannot separate."""

    def separate(self, mixture, sample_rate=None):
        raise RuntimeError("out of order\nand more")


class NotFinite(Halves):
    """Divides by zero."""

    def separate(self, mixture, sample_rate=None):
        return {stem: np.full_like(mixture, np.nan) for stem in self.stems}


class Short(Halves):
    """Returns one sample."""

    def separate(self, mixture, sample_rate=None):
        return {stem: mixture[:, :1] for stem in self.stems}


class Bare:
    """Returns an array instead of a mapping."""

    stems = ("vocals",)
    sample_rate = None

    def separate(self, mixture, sample_rate=None):
        return np.zeros_like(mixture)


class Killed(Halves):
    """Kills its own process at the first track, after the warm-up."""

    calls = 0

    def separate(self, mixture, sample_rate=None):
        self.calls += 1
        if self.calls > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().separate(mixture, sample_rate)


class Parent(Halves):
    """Starts another process and waits for it."""

    def separate(self, mixture, sample_rate=None):
        child = multiprocessing.get_context("fork").Process(target=os.getpid)
        child.start()
        child.join()
        assert child.exitcode == 0
        return super().separate(mixture, sample_rate)


class Orphans(Halves):
    """Starts a process that keeps running, and crashes."""

    def separate(self, mixture, sample_rate=None):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        child.start()
        Path(os.environ["PID_FILE"]).write_text(str(child.pid))
        if mixture.shape[-1] != 5 * 44100:  # not the warm-up, which has 5 s
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().separate(mixture, sample_rate)


class NoSeparator:
    """Not a separator: it has no `separate`."""

    stems = ("vocals",)


class Namespace:
    """Holds an instance of a separator."""

    made = Counted()


def fails():
    """Raise an error as a bug in a user's code does."""
    raise KeyError("weights")
