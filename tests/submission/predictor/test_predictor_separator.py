"""Tracks on machines of any speed: full quality, lower quality or the last resort, always within the deadline."""

import threading

import numpy as np
import pytest
import torch

from deadline_machines import RATE, machine, noise, random_network
from fake_networks import FakeClock, scaling_separator
from models.bsrnn import Estimate
from submission.predictor.separation_record import LAST_RESORT
from submission.predictor.separator import DeadlineSeparator
from submission.rules.challenge import INSTRUMENTS


@pytest.mark.parametrize(("channels", "rate"), [(2, RATE), (1, RATE), (2, 22050)])
def test_with_enough_time_the_stems_equal_the_separators_bit_by_bit(channels: int, rate: int):
    network, mixture = random_network(), noise(1.7, channels, rate)
    stems, account = DeadlineSeparator(INSTRUMENTS, [network], clock=FakeClock()).separate(mixture, rate, 100.0, 10.0)
    expected = network.separate(mixture, rate)
    for name, stem in zip(INSTRUMENTS, stems, strict=True):
        torch.testing.assert_close(stem, expected[name], rtol=0, atol=0 if channels == 2 and rate == RATE else 1e-6)
    assert not account.reduced and not account.faults


@pytest.mark.parametrize("cost", [0.01, 0.3, 0.6, 0.9, 1.3, 1.6, 3.0, 50.0])
@pytest.mark.parametrize("fallback_cost", [None, 0.1])
@pytest.mark.parametrize("seconds", [0.5, 12.25])
def test_every_machine_is_in_time(cost: float, fallback_cost: float | None, seconds: float):
    clock, separator = machine(cost, fallback_cost)
    mixture, started, limit_s = noise(seconds), clock(), 1.57 * seconds
    stems, account = separator.separate(mixture, RATE, started, limit_s)
    assert clock() - started <= 0.85 * limit_s
    assert stems.shape == (4, 2, mixture.shape[-1]) and stems.isfinite().all()
    assert sum(account.audio_s.values()) == pytest.approx(mixture.shape[-1] / RATE)
    if cost < 0.4:
        assert not account.reduced
    if LAST_RESORT not in account.audio_s:
        torch.testing.assert_close(stems, torch.tensor([0.2, 0.3, 0.1, 0.4])[:, None, None] * mixture)


def test_less_overlap_before_a_smaller_network_before_the_last_resort():
    used = {}
    for cost in (0.4, 0.8, 1.5, 30.0):
        clock, separator = machine(cost, cost / 5)
        account = separator.separate(noise(20), RATE, clock(), 1.57 * 20)[1]
        used[cost] = max(account.audio_s, key=lambda mode: account.audio_s[mode])
    assert used[0.4].startswith("main, overlap 0.5")
    assert used[0.8].startswith("main, overlap 0,")
    assert used[1.5].startswith("spare")
    assert used[30.0] == LAST_RESORT


def test_a_machine_that_slows_down_half_way_is_still_in_time():
    clock, separator = machine(0.1, 0.02)
    network = separator._networks["main"].network

    original = type(network).forward

    def forward(self, mixture):
        if self.clock.now - 100.5 > 1.0:
            self.cost = 2.0
            separator._networks["spare (fallback)"].network.cost = 0.4
        return original(self, mixture)

    network.forward = forward.__get__(network)
    started = clock()
    _, account = separator.separate(noise(30), RATE, started, 1.57 * 30)
    modes = list(account.audio_s)
    assert modes[0] == "main, overlap 0.5, float32" and any(mode.startswith("spare") for mode in modes)
    assert LAST_RESORT not in modes
    assert clock() - started < 1.57 * 30 * 0.85


def test_audio_without_time_becomes_a_quarter_of_the_mixture():
    clock, separator = machine(100.0)
    mixture = noise(2)
    stems, account = separator.separate(mixture, RATE, clock(), 3.14)
    torch.testing.assert_close(stems, (mixture / 4).expand(4, -1, -1))
    assert account.audio_s == {LAST_RESORT: 2.0} and account.reduced


def test_a_machine_that_hangs_does_not_make_the_track_late():
    released = threading.Event()
    separator = scaling_separator()
    network = separator.network

    def hang(mixture: torch.Tensor) -> Estimate:
        released.wait(60)
        return Estimate(mixture[:, None].expand(-1, 4, -1, -1))

    deadline = DeadlineSeparator(INSTRUMENTS, [separator])
    network.forward = hang
    mixture = noise(0.2)
    try:
        stems, account = deadline.separate(mixture, RATE, deadline._clock(), 0.3)
    finally:
        released.set()
    torch.testing.assert_close(stems, (mixture / 4).expand(4, -1, -1))
    assert account.audio_s == {LAST_RESORT: pytest.approx(0.2)}


@pytest.mark.parametrize("seconds", [0.001, 0.005, 0.02, 0.05])
def test_a_track_too_short_for_any_network_runs_none(seconds: float):
    separator = DeadlineSeparator(INSTRUMENTS, [scaling_separator()])
    calls = separator._networks["scaling"].network.calls
    calls.clear()
    stems, account = separator.separate(noise(seconds), RATE, separator._clock(), 1.57 * seconds)
    assert account.audio_s == {LAST_RESORT: pytest.approx(seconds, abs=1e-4)} and not calls


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_any_number_of_channels(channels: int):
    clock, separator = machine(0.0)
    mixture = noise(1.2, channels)
    stems, _ = separator.separate(mixture, RATE, clock(), 9.0)
    torch.testing.assert_close(stems[0], 0.2 * mixture)


def test_a_missing_stem_and_mismatched_networks_are_refused():
    with pytest.raises(ValueError, match="without bass, other"):
        DeadlineSeparator(INSTRUMENTS, [scaling_separator(gains={"vocals": 1.0, "drums": 1.0})])
    with pytest.raises(ValueError, match=r"fallback.* without bass, other, vocals"):
        DeadlineSeparator(INSTRUMENTS, [scaling_separator()], [scaling_separator(gains={"drums": 1.0})])
    with pytest.raises(ValueError, match="one sample rate"):
        DeadlineSeparator(INSTRUMENTS, [scaling_separator(), scaling_separator(rate=22050)])


def test_stems_are_numpy_ready():
    clock, separator = machine(0.0)
    stems, _ = separator.separate(noise(0.1), RATE, clock(), 1.0)
    assert stems.numpy().dtype == np.float32
