"""Stand-ins for systems and their weights, and one way to run them without a child process."""

import numpy as np

from benchmark import run
from benchmark.results import Settings
from benchmark.source import Source
from models.tracks import STEMS

SETTINGS = Settings("cpu", 1)


class Fake:
    """Returns noisy halves of the mixture, or whatever `change` makes of them."""

    sample_rate = None
    parameters = 7

    def __init__(self, stems=STEMS, change=None):
        self.stems = stems
        self._change = change or (lambda estimates: estimates)

    def separate(self, mixture, sample_rate=None):
        return self._change({stem: mixture * np.float32(0.5) for stem in self.stems})


class Messages(list):
    """Stands for the connection of a child process."""

    send = list.append


def fake_source(name="fake", digest="1"):
    return Source(name, "Fake", "fake", "", "fake@1", digest)


def run_here(monkeypatch, system, source, tracks, out, settings=SETTINGS):
    monkeypatch.setattr(run, "load", lambda source, device: system)
    messages = Messages()
    run.work(messages, source, tracks, out, settings)
    return messages


def damage(kind):
    def change(estimates):
        if kind == "nan":
            estimates["bass"][0, 5] = np.nan
        elif kind == "length":
            estimates["bass"] = estimates["bass"][:, 1:]
        else:
            raise RuntimeError("a fault\nof two lines")
        return estimates

    return change
