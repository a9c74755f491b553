"""A track within its deadline, on machines of any speed: full quality, less, or the last resort, but never late."""

import threading
from fractions import Fraction

import numpy as np
import pytest
import torch

from fake_networks import GAINS, Clock, scaling_separator
from models.bsrnn import BSRNN, BSRNNConfig, Estimate
from models.chunking import SeparateConfig
from models.separator import NetworkSeparator
from submission.account import LAST_RESORT
from submission.challenge import INSTRUMENTS
from submission.separation import DeadlineSeparator

RATE = 44100


def noise(seconds: float, channels: int = 2, rate: int = RATE) -> torch.Tensor:
    return 0.1 * torch.randn(channels, round(seconds * rate), generator=torch.Generator().manual_seed(1))


def machine(cost: float, fallback_cost: float | None = None, overlap: float = 0.5) -> tuple[Clock, DeadlineSeparator]:
    """A separator on a machine that takes `cost` seconds for a second of audio."""
    clock = Clock()
    fallbacks = [] if fallback_cost is None else [scaling_separator(clock, fallback_cost, "spare")]
    return clock, DeadlineSeparator(INSTRUMENTS, [scaling_separator(clock, cost, "main", overlap)], fallbacks, clock)


def random_network(stems=tuple(GAINS), seed: int = 0) -> NetworkSeparator:
    torch.manual_seed(seed)
    shape = BSRNNConfig(
        stems=stems, n_fft=1024, hop=512, bands="1k:4k,4k:16k", features=8, hidden=8, layers=1, mask_factor=1
    )
    return NetworkSeparator(BSRNN(shape), SeparateConfig(0.5, 0.3, batch=2), name=f"random {seed}")


@pytest.mark.parametrize(("channels", "rate"), [(2, RATE), (1, RATE), (2, 22050)])
def test_with_time_enough_it_is_the_separator_to_the_bit(channels: int, rate: int):
    network, mixture = random_network(), noise(1.7, channels, rate)
    stems, account = DeadlineSeparator(INSTRUMENTS, [network], clock=Clock()).separate(mixture, rate, 100.0, 10.0)
    expected = network.separate(mixture, rate)
    for name, stem in zip(INSTRUMENTS, stems, strict=True):
        torch.testing.assert_close(stem, expected[name], rtol=0, atol=0 if channels == 2 and rate == RATE else 1e-6)
    assert not account.reduced and not account.faults


@pytest.mark.parametrize("cost", [0.01, 0.3, 0.6, 0.9, 1.3, 1.6, 3.0, 50.0])
@pytest.mark.parametrize("fallback_cost", [None, 0.1])
@pytest.mark.parametrize("seconds", [0.5, 12.25])
def test_no_machine_is_late(cost: float, fallback_cost: float | None, seconds: float):
    clock, separator = machine(cost, fallback_cost)
    mixture, started, limit_s = noise(seconds), clock(), 1.57 * seconds
    stems, account = separator.separate(mixture, RATE, started, limit_s)
    assert clock() - started <= 0.85 * limit_s
    assert stems.shape == (4, 2, mixture.shape[-1]) and stems.isfinite().all()
    assert sum(account.audio_s.values()) == pytest.approx(seconds)
    if cost < 0.4:
        assert not account.reduced
    if LAST_RESORT not in account.audio_s:
        torch.testing.assert_close(stems, torch.tensor([0.2, 0.3, 0.1, 0.4])[:, None, None] * mixture)


def test_less_overlap_before_a_smaller_network_before_the_last_resort():
    used = {}
    for cost in (0.4, 0.8, 1.5, 30.0):
        clock, separator = machine(cost, cost / 5)
        account = separator.separate(noise(20), RATE, clock(), 1.57 * 20)[1]
        used[cost] = max(account.audio_s, key=lambda rung: account.audio_s[rung])
    assert used[0.4].startswith("main, overlap 0.5")
    assert used[0.8].startswith("main, overlap 0,")
    assert used[1.5].startswith("spare")
    assert used[30.0] == LAST_RESORT


def test_a_machine_that_slows_down_half_way_is_caught():
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
    rungs = list(account.audio_s)
    assert rungs[0] == "main, overlap 0.5, float32" and any(rung.startswith("spare") for rung in rungs)
    assert LAST_RESORT not in rungs
    assert clock() - started < 1.57 * 30 * 0.85


def test_what_does_not_fit_becomes_a_quarter_of_the_mixture():
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


def test_an_ensemble_is_the_mean_of_those_that_have_the_stem():
    clock = Clock()
    first = scaling_separator(clock, name="a")
    second = scaling_separator(clock, name="b", gains={"drums": 0.5, "piano": 0.9})
    mixture = noise(1.5)
    stems, account = DeadlineSeparator(INSTRUMENTS, [first, second], clock=clock).separate(mixture, RATE, 100.0, 9.0)
    torch.testing.assert_close(stems, torch.tensor([0.2, 0.4, 0.1, 0.4])[:, None, None] * mixture)
    assert list(account.audio_s) == ["a + b, overlap 0, float32"]


def test_an_ensemble_of_two_real_networks_is_the_mean_of_their_waveforms():
    networks = [random_network(seed=0), random_network(seed=1)]
    mixture = noise(1.2)
    stems, _ = DeadlineSeparator(INSTRUMENTS, networks, clock=Clock()).separate(mixture, RATE, 100.0, 9.0)
    singles = [network.separate(mixture) for network in networks]
    for name, stem in zip(INSTRUMENTS, stems, strict=True):
        torch.testing.assert_close(stem, (singles[0][name] + singles[1][name]) / 2, atol=1e-6, rtol=0)


def test_one_network_for_each_stem_makes_an_ensemble():
    clock = Clock()
    networks = [scaling_separator(clock, name=name, gains={name: GAINS[name]}) for name in INSTRUMENTS]
    mixture = noise(0.5)
    stems, _ = DeadlineSeparator(INSTRUMENTS, networks, clock=clock).separate(mixture, RATE, 100.0, 9.0)
    torch.testing.assert_close(stems, torch.tensor([0.2, 0.3, 0.1, 0.4])[:, None, None] * mixture)


def test_an_ensemble_that_is_too_slow_becomes_its_first_network():
    clock = Clock()
    networks = [scaling_separator(clock, 0.5, name) for name in ("a", "b", "c")]
    separator = DeadlineSeparator(INSTRUMENTS, networks, clock=clock)
    account = separator.separate(noise(10), RATE, clock(), 15.7)[1]
    assert account.audio_s["a, overlap 0, float32"] >= 5.0
    assert LAST_RESORT not in account.audio_s


def test_a_network_that_fails_gives_way_to_the_next_and_is_named():
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
    clock = Clock()
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


def test_half_precision_that_overflows_is_done_again_in_float32():
    clock, separator = machine(1.0, overlap=0.5)  # too slow for the overlap in float32; half is said to be faster
    network = separator._networks["main"]
    separator._rungs = {
        rung: 0.4 if rung.precision == "half" else 0.9
        for rung in separator._rungs
        if rung.overlap == 0.5 or rung.precision == "float32"
    }
    original = network.network.forward

    def forward(mixture):
        estimate = original(mixture)
        return Estimate(estimate.waveforms * (torch.inf if torch.is_autocast_enabled("cpu") else 1.0))

    network.network.forward = forward
    network.network.cost = 0.3
    stems, account = separator.separate(noise(10), RATE, clock(), 15.7)
    assert "half" in {call[2] for call in network.network.calls[4:]}
    assert stems.isfinite().all() and not any("half" in rung for rung in account.audio_s)


def test_batches_are_whole_chunks_and_the_last_one_is_shorter():
    clock = Clock()
    network = scaling_separator(clock, overlap=0.25)
    separator = DeadlineSeparator(INSTRUMENTS, [network], clock=clock)
    separator._batch.size = 3
    network.network.calls.clear()
    mixture = noise(4.2)
    stems, _ = separator.separate(mixture, RATE, clock(), 9.0)
    torch.testing.assert_close(stems[3], 0.4 * mixture)
    lengths = [(number, Fraction(samples, RATE)) for number, samples, _ in network.network.calls]
    assert lengths == [(3, 1), (2, 1), (1, Fraction(45, 100))]


def test_a_slow_machine_is_measured_briefly_and_a_fast_one_in_both_precisions():
    calls = {}
    for cost in (0.1, 70.0):
        _, separator = machine(cost, cost)
        networks = [network.network for network in separator._networks.values()]
        calls[cost] = [[precision for _, _, precision in network.calls] for network in networks]
    assert calls[0.1] == [["float32"] * 3 + ["half"] * 3] * 2
    assert calls[70.0] == [["float32"]] * 2


def test_silence_is_not_taken_for_speed():
    clock, separator = machine(0.7, 0.1)
    mixture = noise(20)
    mixture[:, : 10 * RATE] = 0
    started = clock()
    separator.separate(mixture, RATE, started, 31.4)
    assert separator._slowdown == pytest.approx(1.0)


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_any_number_of_channels(channels: int):
    clock, separator = machine(0.0)
    mixture = noise(1.2, channels)
    stems, _ = separator.separate(mixture, RATE, clock(), 9.0)
    torch.testing.assert_close(stems[0], 0.2 * mixture)


def test_a_missing_stem_and_networks_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="lacks bass, other"):
        DeadlineSeparator(INSTRUMENTS, [scaling_separator(gains={"vocals": 1.0, "drums": 1.0})])
    with pytest.raises(ValueError, match=r"fallback.* lacks bass, other, vocals"):
        DeadlineSeparator(INSTRUMENTS, [scaling_separator()], [scaling_separator(gains={"drums": 1.0})])
    with pytest.raises(ValueError, match="one sample rate"):
        DeadlineSeparator(INSTRUMENTS, [scaling_separator(), scaling_separator(rate=22050)])


def test_stems_are_numpy_ready():
    clock, separator = machine(0.0)
    stems, _ = separator.separate(noise(0.1), RATE, clock(), 1.0)
    assert stems.numpy().dtype == np.float32
