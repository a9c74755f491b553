"""Fakes of systems and their weights, and a way to run them without a separate process."""

import numpy as np

from benchmark.provenance.weights import Source
from benchmark.runs import pair as pair_module
from benchmark.runs.pair import Origin, Pair, measure_pair, prepare
from benchmark.runs.process import DONE
from benchmark.runs.result_key import result_key
from benchmark.runs.settings import Settings
from models.tracks import STEMS

SETTINGS = Settings("cpu", 1)
ORIGIN = Origin("python -m benchmark run --out x", "abc1234")


class Fake:
    """Returns half of the mixture as each stem, changed by `change`."""

    sample_rate = None
    parameters = 7

    def __init__(self, stems=STEMS, change=None):
        self.stems = stems
        self._change = change or (lambda estimates: estimates)

    def separate(self, mixture, sample_rate=None):
        return self._change({stem: mixture * np.float32(0.5) for stem in self.stems})


class Bar:
    """A progress bar that only counts."""

    count = 0

    def update(self, count):
        self.count += count

    def set_description(self, text):
        pass


def fake_source(name="fake", digest="1"):
    return Source(name, "Fake", "mixture", "", "fake@1", digest)


def make_pair(source, track, settings=SETTINGS):
    return Pair(source, track, track.name, result_key(source, track, settings))


def run_here(monkeypatch, system, source, tracks, out, settings=SETTINGS, origin=ORIGIN):
    """Measure a system in this process."""
    measure_here(monkeypatch, system, [make_pair(source, track, settings) for track in tracks], out, settings, origin)


def measure_here(monkeypatch, system, pairs, out, settings, origin):
    """Measure pairs in this process, all with one system; returns the failures, always an empty list."""
    monkeypatch.setattr(pair_module, "load", lambda source, device: system)
    for pair in pairs:
        measure_pair(*prepare(pair.source, settings), pair, out, settings, origin)
    return []


class MeasuringHere:
    """Stands in for `benchmark.process.MeasuringProcess`: measures in this process, which need not start."""

    def __init__(self, source, out, settings, origin):
        self._arguments = (out, settings, origin)
        self._prepared = prepare(source, settings)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def measure(self, pair):
        measure_pair(*self._prepared, pair, *self._arguments)
        return DONE, ""


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
