"""Separators as a user would write them, for `--system separator_fakes:NAME`."""

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
    """Says itself how large it is."""

    parameters = 5


class Forgetful(Halves):
    """Does not return what it promised."""

    def separate(self, mixture, sample_rate=None):
        return {"vocals": mixture}


class Bare:
    """Has a single array to give."""

    stems = ("vocals",)
    sample_rate = None

    def separate(self, mixture, sample_rate=None):
        return np.zeros_like(mixture)


class NoSeparator:
    """Is none."""

    stems = ("vocals",)


class Namespace:
    """Holds a separator that is made already."""

    made = Counted()


def fails():
    """Raise what a user's own mistake raises."""
    raise KeyError("weights")
