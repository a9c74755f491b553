"""The networks of the deadline separator: ensembles, failures, batches and the measured speed."""

from fractions import Fraction

import pytest
import torch

from deadline_machines import RATE, machine, noise, random_network
from fake_networks import GAINS, FakeClock, scaling_separator
from models.bsrnn import Estimate
from submission.predictor.separation_record import LAST_RESORT
from submission.predictor.separator import DeadlineSeparator
from submission.rules.challenge import INSTRUMENTS


def test_an_ensemble_is_the_mean_of_those_that_have_the_stem():
    clock = FakeClock()
    first = scaling_separator(clock, name="a")
    second = scaling_separator(clock, name="b", gains={"drums": 0.5, "piano": 0.9})
    mixture = noise(1.5)
    stems, account = DeadlineSeparator(INSTRUMENTS, [first, second], clock=clock).separate(mixture, RATE, 100.0, 9.0)
    torch.testing.assert_close(stems, torch.tensor([0.2, 0.4, 0.1, 0.4])[:, None, None] * mixture)
    assert list(account.audio_s) == ["a + b, overlap 0, float32"]


def test_an_ensemble_of_two_real_networks_is_the_mean_of_their_waveforms():
    networks = [random_network(seed=0), random_network(seed=1)]
    mixture = noise(1.2)
    stems, _ = DeadlineSeparator(INSTRUMENTS, networks, clock=FakeClock()).separate(mixture, RATE, 100.0, 9.0)
    singles = [network.separate(mixture) for network in networks]
    for name, stem in zip(INSTRUMENTS, stems, strict=True):
        torch.testing.assert_close(stem, (singles[0][name] + singles[1][name]) / 2, atol=1e-6, rtol=0)


def test_one_network_for_each_stem_makes_an_ensemble():
    clock = FakeClock()
    networks = [scaling_separator(clock, name=name, gains={name: GAINS[name]}) for name in INSTRUMENTS]
    mixture = noise(0.5)
    stems, _ = DeadlineSeparator(INSTRUMENTS, networks, clock=clock).separate(mixture, RATE, 100.0, 9.0)
    torch.testing.assert_close(stems, torch.tensor([0.2, 0.3, 0.1, 0.4])[:, None, None] * mixture)


def test_an_ensemble_that_is_too_slow_becomes_its_first_network():
    clock = FakeClock()
    networks = [scaling_separator(clock, 0.5, name) for name in ("a", "b", "c")]
    separator = DeadlineSeparator(INSTRUMENTS, networks, clock=clock)
    account = separator.separate(noise(10), RATE, clock(), 15.7)[1]
    assert account.audio_s["a, overlap 0, float32"] >= 5.0
    assert LAST_RESORT not in account.audio_s


def test_a_network_that_fails_is_replaced_by_the_next_and_named():
    clock, separator = machine(0.1, 0.1)
    separator._networks["main"].network.fail = RuntimeError("no such kernel")
    mixture = noise(3)
    stems, account = separator.separate(mixture, RATE, clock(), 4.7)
    torch.testing.assert_close(stems, torch.tensor([0.2, 0.3, 0.1, 0.4])[:, None, None] * mixture)
    assert list(account.audio_s)[0].startswith("spare")
    assert account.faults == ["main, overlap 0.5, float32: RuntimeError: no such kernel"]


def test_networks_that_all_fail_leave_the_last_resort():
    clock, separator = machine(0.1)
    separator._networks["main"].network.fail = ValueError("broken")
    mixture = noise(1)
    stems, account = separator.separate(mixture, RATE, clock(), 1.57)
    torch.testing.assert_close(stems, (mixture / 4).expand(4, -1, -1))
    assert "broken" in account.faults[0]


def test_memory_that_runs_out_halves_the_batch():
    clock = FakeClock()
    network = scaling_separator(clock, overlap=0.0)
    separator = DeadlineSeparator(INSTRUMENTS, [network], clock=clock)
    separator._batch.size = 4
    original = network.network.forward

    def forward(mixture):
        if len(mixture) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(mixture)

    network.network.forward = forward
    stems, account = separator.separate(noise(6), RATE, clock(), 9.0)
    assert separator._batch.size == 1
    assert not account.reduced and not account.faults


def test_an_overflow_in_half_precision_is_repeated_in_float32():
    clock, separator = machine(1.0, overlap=0.5)  # too slow for the overlap in float32; half is said to be faster
    network = separator._networks["main"]
    separator._modes = {
        mode: 0.4 if mode.precision == "half" else 0.9
        for mode in separator._modes
        if mode.overlap == 0.5 or mode.precision == "float32"
    }
    original = network.network.forward

    def forward(mixture):
        estimate = original(mixture)
        return Estimate(estimate.waveforms * (torch.inf if torch.is_autocast_enabled("cpu") else 1.0))

    network.network.forward = forward
    network.network.cost = 0.3
    stems, account = separator.separate(noise(10), RATE, clock(), 15.7)
    assert "half" in {call[2] for call in network.network.calls[4:]}
    assert stems.isfinite().all() and not any("half" in mode for mode in account.audio_s)


def test_batches_are_whole_chunks_and_the_last_one_is_shorter():
    clock = FakeClock()
    network = scaling_separator(clock, overlap=0.25)
    separator = DeadlineSeparator(INSTRUMENTS, [network], clock=clock)
    separator._batch.size = 3
    network.network.calls.clear()
    mixture = noise(4.2)
    stems, _ = separator.separate(mixture, RATE, clock(), 9.0)
    torch.testing.assert_close(stems[3], 0.4 * mixture)
    lengths = [(number, Fraction(samples, RATE)) for number, samples, _ in network.network.calls]
    assert lengths == [(3, 1), (2, 1), (1, Fraction(45, 100))]


def test_silence_does_not_count_as_speed():
    clock, separator = machine(0.7, 0.1)
    mixture = noise(20)
    mixture[:, : 10 * RATE] = 0
    started = clock()
    separator.separate(mixture, RATE, started, 31.4)
    assert list(separator._slowdowns) == [pytest.approx(1.0)]
