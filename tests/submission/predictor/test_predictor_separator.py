"""Tracks on machines of any speed: full quality, lower quality or the last resort, always within the deadline."""

import random
import threading
from fractions import Fraction

import numpy as np
import pytest
import torch

from fake_networks import GAINS, FakeClock, scaling_separator
from models.bsrnn import BSRNN, BSRNNConfig, Estimate
from models.separation.separator import NetworkSeparator
from models.signal.chunking import SeparateConfig
from models.signal.resampling import resample_blocks
from submission.predictor import separator as separation
from submission.predictor.planner import HANDOVER_S, LAST_SHARE, SHORTEST_STEP_S
from submission.predictor.separation_record import LAST_RESORT, SeparationRecord
from submission.predictor.separator import DeadlineSeparator, _Track
from submission.rules.challenge import INSTRUMENTS

RATE = 44100


def noise(seconds: float, channels: int = 2, rate: int = RATE) -> torch.Tensor:
    return 0.1 * torch.randn(channels, round(seconds * rate), generator=torch.Generator().manual_seed(1))


def machine(
    cost: float, fallback_cost: float | None = None, overlap: float = 0.5
) -> tuple[FakeClock, DeadlineSeparator]:
    """A separator on a machine that takes `cost` seconds for a second of audio."""
    clock = FakeClock()
    fallbacks = [] if fallback_cost is None else [scaling_separator(clock, fallback_cost, "spare")]
    return clock, DeadlineSeparator(INSTRUMENTS, [scaling_separator(clock, cost, "main", overlap)], fallbacks, clock)


def random_network(stems=tuple(GAINS), seed: int = 0) -> NetworkSeparator:
    torch.manual_seed(seed)
    shape = BSRNNConfig(
        stems=stems, n_fft=1024, hop=512, bands="1k:4k,4k:16k", features=8, hidden=8, layers=1, mask_factor=1
    )
    return NetworkSeparator(BSRNN(shape), SeparateConfig(0.5, 0.3, batch=2), name=f"random {seed}")


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


SHORT_RATE = 1000
"""Hz, so that tracks of a minute are quick to make."""


def stalling(
    stalls: list[tuple[float, float]], cost: float = 0.1, fallback_cost: float = 0.05, speed: float = 1.0
) -> tuple[FakeClock, DeadlineSeparator]:
    """A separator with chunks of 7 s on a machine that stands still at some times after it was built."""
    clock = FakeClock()
    networks = [
        scaling_separator(clock, price, name, 0.05, segment_s=7.0, rate=SHORT_RATE)
        for name, price in (("main", cost), ("spare", fallback_cost))
    ]
    separator = DeadlineSeparator(INSTRUMENTS, networks[:1], networks[1:], clock)
    clock.speed = speed
    clock.stalls = [(clock.now + begin, seconds) for begin, seconds in stalls]
    return clock, separator


def separate_in_time(
    clock: FakeClock, separator: DeadlineSeparator, seconds: float, channels: int = 2
) -> SeparationRecord:
    """The record of a track, after a check that it was in time."""
    mixture, started, limit_s = noise(seconds, channels, SHORT_RATE), clock(), 1.57 * seconds
    num_stalls = len(clock.stalls)
    stems, account = separator.separate(mixture, SHORT_RATE, started, limit_s)
    assert clock() - started <= LAST_SHARE * limit_s + 1e-6 or len(clock.stalls) < num_stalls
    assert sum(account.audio_s.values()) == pytest.approx(mixture.shape[-1] / SHORT_RATE)
    heard = round((mixture.shape[-1] / SHORT_RATE - account.audio_s.get(LAST_RESORT, 0)) * SHORT_RATE)
    torch.testing.assert_close(stems[3, :, :heard], 0.4 * mixture[:, :heard])
    torch.testing.assert_close(stems[3, :, heard:], mixture[:, heard:] / 4)
    return account


def test_after_a_stall_the_next_tracks_have_full_quality():
    clock, separator = stalling([(0.1, 25.0)])
    assert separate_in_time(clock, separator, 7.0).audio_s == {LAST_RESORT: 7.0}  # its time was over
    for _ in range(3):
        assert not separate_in_time(clock, separator, 7.0).reduced


def test_after_a_track_of_5_ms_the_next_one_has_full_quality():
    clock, separator = stalling([])
    separator._networks["main"].network.least_s = separator._networks["spare (fallback)"].network.least_s = 0.3
    separate_in_time(clock, separator, 0.005)
    separate_in_time(clock, separator, 0.05)
    assert not separate_in_time(clock, separator, 7.0).reduced


def test_after_a_slow_track_the_machine_is_measured_anew():
    """One long track at a hundredth of the speed, then tracks of one chunk."""
    clock, separator = stalling([], speed=0.01)
    assert separate_in_time(clock, separator, 30.0).audio_s[LAST_RESORT] > 20
    assert separate_in_time(clock, separator, 7.0).audio_s[LAST_RESORT] > 5
    clock.speed = 1.0
    accounts = [separate_in_time(clock, separator, 7.0) for _ in range(3)]
    assert LAST_RESORT not in accounts[0].audio_s
    assert not accounts[2].reduced


@pytest.mark.parametrize("seed", range(40))
def test_only_audio_beyond_the_time_after_the_stalls_gets_the_last_resort(seed: int):
    random_ = random.Random(seed)
    seconds = random_.choice([0.5, 5.0, 20.0]) * random_.uniform(0.5, 2)
    last = min(LAST_SHARE * 1.57 * seconds, 1.57 * seconds - HANDOVER_S)
    cost = 10 ** random_.uniform(-1, 0.3)
    fallback_cost = cost * random_.uniform(0.05, 0.8)
    stalls = [(0.0, last * (1 - 10 ** random_.uniform(-2, 0))) for _ in range(random_.randrange(3))]
    stalls = [(random_.uniform(0, stall_s), stall_s) for _, stall_s in stalls]
    clock, separator = stalling(stalls, cost, fallback_cost)
    begun = clock()
    account = separate_in_time(clock, separator, seconds)
    left_s = last - max([0.0, *(end - begun for end in clock.stall_ends)])
    expected_s = max(0.0, seconds - max(0.0, left_s) / fallback_cost)
    assert account.audio_s.get(LAST_RESORT, 0.0) <= expected_s + SHORTEST_STEP_S + 0.01


def test_stems_from_before_a_stall_are_kept():
    clock, separator = stalling([(1.0, 100.0)])
    account = separate_in_time(clock, separator, 30.0)
    assert account.audio_s["main, overlap 0.05, float32"] == pytest.approx(7.0)
    assert account.audio_s[LAST_RESORT] == pytest.approx(23.0)


def test_a_hanging_step_is_abandoned_and_the_cheapest_mode_covers_the_track():
    released = threading.Event()
    separator, spare = scaling_separator(name="main"), scaling_separator(name="spare")
    deadline = DeadlineSeparator(INSTRUMENTS, [separator], [spare])
    original = separator.network.forward

    def hang(mixture: torch.Tensor) -> Estimate:
        released.wait(60)
        return original(mixture)

    separator.network.forward = hang
    deadline._modes = {mode: 0.2 if mode.networks == ("main",) else 0.1 for mode in deadline._modes}
    mixture = noise(0.5)
    try:
        stems, account = deadline.separate(mixture, RATE, deadline._clock(), 1.57 * 0.5)
    finally:
        released.set()
    assert list(account.audio_s)[0].startswith("spare") and LAST_RESORT not in account.audio_s
    torch.testing.assert_close(stems[3], 0.4 * mixture)


@pytest.mark.parametrize(("channels", "examples"), [(1, 1), (2, 1), (6, 6)])
def test_each_channel_that_is_its_own_example_counts_as_cost(channels: int, examples: int):
    clock, separator = stalling([], cost=0.1)
    step = separator.plan(channels).choose(7.0, 100.0, 100.0)
    assert step is not None and step.takes_s == pytest.approx(0.7 * examples)
    account = separate_in_time(clock, separator, 7.0, channels)
    assert not account.reduced and separator._slowdowns[-1] == pytest.approx(1.0)


def test_six_channels_use_the_fallback_where_two_do_not():
    for channels, name in ((2, "main"), (6, "spare")):
        clock, separator = stalling([], cost=0.3)
        account = separate_in_time(clock, separator, 20.0, channels)
        assert list(account.audio_s)[0].startswith(name)


@pytest.mark.parametrize("set_up_s", [0.0, 2.0])
def test_the_resampler_is_timed_without_its_set_up(set_up_s: float, monkeypatch: pytest.MonkeyPatch):
    """The set-up happens once; it must not be multiplied by the number of stems."""
    clock, separator = stalling([])

    def slow_resample(blocks, from_hz: int, to_hz: int):
        clock.work(set_up_s)
        for block in resample_blocks(blocks, from_hz, to_hz):
            clock.work(0.01 * block.shape[-1] / to_hz)
            yield block

    monkeypatch.setattr(separation, "resample_blocks", slow_resample)
    started = clock()
    _, account = separator.separate(noise(7, rate=2000), 2000, started, 11.0)
    assert not account.reduced
    # 0.07 s forth, the networks' 0.7 s, and four times 0.07 s back, half of which is a margin
    track = _Track(separator, noise(7, rate=2000), 2000, clock(), 11.0)
    before = track._last
    assert track._prepare() is not None
    assert before - track._last == pytest.approx(1.5 * 4 * 0.07, rel=0.1)


def test_a_resampler_that_takes_all_the_time_leads_to_the_last_resort(monkeypatch: pytest.MonkeyPatch):
    clock, separator = stalling([])

    def slow_resample(blocks, from_hz: int, to_hz: int):
        clock.work(100.0)
        yield from resample_blocks(blocks, from_hz, to_hz)

    monkeypatch.setattr(separation, "resample_blocks", slow_resample)
    started = clock()
    stems, account = separator.separate(noise(7, rate=2000), 2000, started, 11.0)
    assert clock() - started <= 11.0 and account.audio_s == {LAST_RESORT: 7.0}


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
