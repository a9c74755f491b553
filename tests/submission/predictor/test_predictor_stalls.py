"""Tracks on machines that stand still or slow down, and the time of the resampler."""

import random
import threading

import pytest
import torch

from deadline_machines import RATE, noise
from fake_networks import FakeClock, scaling_separator
from models.bsrnn import Estimate
from models.signal.resampling import resample_blocks
from submission.predictor import separator as separation
from submission.predictor.separation_record import LAST_RESORT, SeparationRecord
from submission.predictor.separator import DeadlineSeparator, _Track
from submission.predictor.time_limit import HANDOVER_S, LAST_SHARE, SHORTEST_STEP_S
from submission.rules.challenge import INSTRUMENTS

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
    covered = round((mixture.shape[-1] / SHORT_RATE - account.audio_s.get(LAST_RESORT, 0)) * SHORT_RATE)
    torch.testing.assert_close(stems[3, :, :covered], 0.4 * mixture[:, :covered])
    torch.testing.assert_close(stems[3, :, covered:], mixture[:, covered:] / 4)
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
