"""Speed: every system gets the same audio, in turns, and the table is a ratio of medians."""

import numpy as np
import pytest
import torch

from benchmark.__main__ import main
from benchmark.timing import speed
from benchmark.timing.speed import Timing, measure_speed, render_speed, speed_systems


class Recorder:
    stems, sample_rate, parameters = ("vocals",), 44100, 2_000_000

    def __init__(self, name, calls):
        self.name, self.calls = name, calls

    def separate(self, mixture, sample_rate=None):
        self.calls.append((self.name, mixture.shape, float(mixture.sum())))
        return {"vocals": mixture}

    def gmacs_per_second(self):
        return 3.04


def test_systems_take_turns_on_the_same_audio():
    calls = []
    factories = {name: lambda name=name: Recorder(name, calls) for name in ("a", "b")}
    timings = measure_speed(factories, seconds=3, repeats=2, threads=torch.get_num_threads())
    timed = calls[2:]
    assert [name for name, _, _ in timed] == ["a", "b", "a", "b"]
    assert {(shape, total) for _, shape, total in timed} == {((2, 3 * 44100), timed[0][2])}
    assert [len(timing.real_time_factors) for timing in timings] == [2, 2]
    assert [len(timing.cpu_factors) for timing in timings] == [2, 2] and timings[0].gmacs_per_second == 3.04


def test_table_gives_medians_and_the_ratio_to_the_first():
    first = Timing("a", 1_000_000, 3.04, (0.1, 0.2, 0.9), (0.3,) * 3)
    second = Timing("b", 0, 0.5, (0.5, 0.6, 0.7), (1.0,) * 3, 12.34)
    table = render_speed([first, second], 30, 2)
    assert "| a | 1.0 M | 3.0 | 0.200 | 0.100–0.900 | 0.300 | 1.0 | not readable |" in table
    third = Timing("c", 0, float("nan"), (0.5,) * 3, (1.0,) * 3)
    assert "| c | 0.0 M | not counted | 0.500 |" in render_speed([first, third], 30, 2)
    assert "| b | 0.0 M | 0.5 | 0.600 | 0.500–0.700 | 1.000 | 3.0 | 12.3 |" in table


@pytest.mark.slow
def test_peers_have_their_official_size():
    factories = speed_systems()
    sizes = {name: factory().parameters for name, factory in factories.items() if not name.startswith("BSRNN")}
    umx, filtered, htdemucs, scnet = sizes.values()
    assert round(umx / 1e6, 1) == round(filtered / 1e6, 1) == 35.6
    assert round(htdemucs / 1e6) == 42
    assert round(scnet / 1e6, 1) == 10.6
    noise = np.zeros((2, 4410), dtype=np.float32) + 0.01
    assert speed._umxhq(1).separate(noise, 44100)["vocals"].shape == noise.shape
    assert speed._scnet_small().separate(noise, 44100)["vocals"].shape == noise.shape


def test_unknown_checkpoint_is_one_line(capsys):
    assert main(["speed", "--checkpoint", "nothing-of-this-name"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_device_reaches_the_systems_and_the_clock(monkeypatch, capsys):
    waited = []
    monkeypatch.setattr("benchmark.provenance.machine.synchronize", waited.append)
    monkeypatch.setattr("benchmark.__main__._usable_device", lambda name: name)
    monkeypatch.setattr(
        "benchmark.timing.speed.speed_systems", lambda checkpoint, device: {device: lambda: Recorder(device, [])}
    )
    threads = str(torch.get_num_threads())
    assert main(["speed", "--device", "cuda", "--seconds", "1", "--repeats", "3", "--threads", threads]) == 0
    assert waited == ["cuda"] * 6
    assert capsys.readouterr().out.splitlines()[-1].startswith("| cuda | 2.0 M | 3.0 |")
