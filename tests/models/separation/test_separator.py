"""The stems have the mixture's type, length, channels and rate."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from models.separation.separator import NetworkSeparator, load_separator
from models.signal.chunking import SeparateConfig
from models.tracks import open_tracks, shipped_excerpt
from scaled_copies import RATE, SETTINGS, STEMS, FakeEstimate, ScaledCopies, Squashed, noise


def chord(length: int, rate: int, channels: int = 2) -> np.ndarray:
    time_s = np.arange(length) / rate
    return np.stack([np.sin(2 * np.pi * 440 * time_s + phase) for phase in range(channels)]).astype(np.float32)


class Frames(ScaledCopies):
    """Uses only the first sample of each frame of four."""

    hop = 4

    def forward(self, mixture: Tensor) -> FakeEstimate:
        used = (torch.arange(mixture.shape[-1]) % self.hop == 0) * mixture
        return super().forward(used)


@pytest.mark.parametrize(("shifts", "used"), [(1, [0]), (2, [0, 2]), (4, [0, 1, 2, 3])])
def test_shifts_are_spread_over_a_frame_and_averaged(shifts, used):
    mixture = noise(1001)
    settings = SeparateConfig(segment_s=1.0, overlap=0.0, batch=1, shifts=shifts)
    drums = NetworkSeparator(Frames(), settings).separate(mixture)["drums"]
    expected = np.where(np.isin(np.arange(1001) % 4, used), 2 * mixture / shifts, 0)
    np.testing.assert_allclose(drums, expected, rtol=1e-6)


@pytest.fixture
def separator() -> NetworkSeparator:
    return NetworkSeparator(ScaledCopies(), SETTINGS)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("length", [1, 2, 100, 4410, 4411, 30_000])
def test_arrays(separator, channels, length):
    mixture = noise(length, channels)
    stems = separator.separate(mixture, RATE)
    assert tuple(stems) == STEMS == separator.stems
    for gain, stem in enumerate(stems.values(), start=1):
        assert isinstance(stem, np.ndarray) and stem.dtype == np.float32
        np.testing.assert_allclose(stem, gain * mixture, rtol=1e-5, atol=1e-5)


def test_longer_than_a_block(separator):
    mixture = noise(25 * RATE)
    np.testing.assert_allclose(separator.separate(mixture)["drums"], 2 * mixture, rtol=1e-5, atol=1e-5)


def test_tensors(separator):
    mixture = torch.from_numpy(noise(20_000)).requires_grad_()
    stems = separator.separate(mixture)
    torch.testing.assert_close(stems["bass"], 3 * mixture.detach(), rtol=1e-5, atol=1e-5)
    assert not stems["bass"].is_inference() and not stems["bass"].requires_grad
    assert separator.separate(mixture.double())["bass"].dtype == torch.float64
    assert separator.separate(mixture.half())["bass"].dtype == torch.float16


def test_odd_arrays(separator):
    """Other float types, reversed, transposed and read-only views."""
    mixture = noise(9000)
    views = [
        mixture.astype(np.float64),
        mixture.astype(">f4"),
        mixture[:, ::-1],
        np.asfortranarray(mixture),
        mixture.copy(),
    ]
    views[-1].flags.writeable = False
    for view in views:
        stem = separator.separate(view)["vocals"]
        assert stem.dtype == view.dtype
        np.testing.assert_allclose(stem, view, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rate", [8000, 32000, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("length", [1, 3, 12_345])
def test_other_rates(separator, rate, channels, length):
    mixture = chord(length, rate, channels)
    stems = separator.separate(mixture, rate)
    assert all(stem.shape == mixture.shape for stem in stems.values())
    if length > 1000:
        inner = slice(200, -200)  # both conversions use silence beyond the ends
        np.testing.assert_allclose(stems["drums"][:, inner], 2 * mixture[:, inner], atol=0.02)


def test_stream_equals_whole(separator):
    mixture = torch.from_numpy(noise(40_000))
    whole = separator.separate(mixture, 48000)
    pieces = list(separator.separate_stream(mixture.split(3000, dim=-1), 48000))
    assert len(pieces) > 4
    for stem in STEMS:
        streamed = torch.cat([piece[stem] for piece in pieces], dim=-1)
        torch.testing.assert_close(streamed, whole[stem], rtol=0, atol=1e-5)


def test_memory_is_bounded(separator):
    received = emitted = 0

    def blocks():
        nonlocal received
        for _ in range(100):
            received += 4410
            yield torch.ones(2, 4410)

    for piece in separator.separate_stream(blocks(), RATE):
        emitted += piece["vocals"].shape[-1]
        assert received - emitted <= 5 * 4410
    assert emitted == received


def test_short_mixture_costs_its_own_length(separator):
    separator.separate(noise(1000))
    assert separator.network.lengths == [1000]


def test_stem_subset():
    separator = NetworkSeparator(ScaledCopies(), SETTINGS, stems=["other", "drums"])
    mixture = noise(10_000)
    stems = separator.separate(mixture)
    assert tuple(stems) == ("other", "drums") == separator.stems
    np.testing.assert_allclose(stems["other"], 4 * mixture, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(stems["drums"], 2 * mixture, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stems", [["vocal"], ["vocals", "vocals"], [], [""]])
def test_unknown_stems(stems):
    with pytest.raises(ValueError, match="different ones of vocals, drums, bass, other, got"):
        NetworkSeparator(ScaledCopies(), SETTINGS, stems=stems)


class Noisy(ScaledCopies):
    """Adds noise, so its output for silence is not silent."""

    def forward(self, mixture: Tensor) -> FakeEstimate:
        return FakeEstimate(super().forward(mixture).waveforms + 0.1)


def test_silence_stays_silence():
    separator = NetworkSeparator(Noisy(), SETTINGS)
    stems = separator.separate(np.zeros((2, 20_000), np.float32))
    assert all(not stem.any() for stem in stems.values())
    assert separator.network.lengths == []
    half = noise(20_000)
    half[:, 10_000:] = 0
    stem = separator.separate(half)["vocals"]
    assert (stem[:, :4000] > half[:, :4000] + 0.1).all()
    assert not stem[:, 16_000:].any()


@pytest.mark.parametrize("gain_db", [-60, -40, -20, 20, 40])
@pytest.mark.parametrize("rate", [RATE, 48000, 44099])
def test_loudness_does_not_matter(gain_db, rate):
    """separate(k x) = k separate(x), for a whole mixture and a stream, with silences and a change of level."""
    mixture = noise(30_000)
    mixture[:, 12_000:20_000] = 0
    mixture[:, 20_000:] *= 0.01
    gain = np.float32(10 ** (gain_db / 20))
    separator = NetworkSeparator(Squashed(), SETTINGS)
    expected = separator.separate(mixture, rate)
    louder = separator.separate(gain * mixture, rate)
    pieces = list(separator.separate_stream(torch.from_numpy(gain * mixture).split(7000, dim=-1), rate))
    for stem in STEMS:
        peak = np.abs(expected[stem]).max()
        assert np.abs(louder[stem] / gain - expected[stem]).max() < 1e-4 * peak
        streamed = torch.cat([piece[stem] for piece in pieces], dim=-1).numpy()
        assert np.abs(streamed / gain - expected[stem]).max() < 1e-4 * peak


def test_an_identity_network_keeps_a_48_khz_file_to_90_db():
    spectrum = np.fft.rfft(noise(96_000))
    spectrum[:, np.fft.rfftfreq(96_000, 1 / 48000) > 18_000] = 0
    mixture = np.fft.irfft(spectrum, 96_000).astype(np.float32)
    separator = NetworkSeparator(ScaledCopies(), SETTINGS, stems=["vocals"])
    inner = slice(4800, -4800)
    error = (separator.separate(mixture, 48000)["vocals"] - mixture)[:, inner]
    assert 10 * np.log10((mixture[:, inner] ** 2).sum() / (error**2).sum()) > 90


class Broken(ScaledCopies):
    """Turns the loudest sample into NaN."""

    def forward(self, mixture: Tensor) -> FakeEstimate:
        return FakeEstimate(super().forward(torch.where(mixture > 0.99, torch.nan, mixture)).waveforms)


def test_output_that_is_not_finite():
    mixture = np.zeros((2, RATE), np.float32)
    mixture[1, RATE // 2] = 0.2
    with pytest.raises(ValueError, match=r"output of thing@1: .*NaN or infinity at 0.500 s"):
        NetworkSeparator(Broken(), SETTINGS, name="thing@1").separate(mixture)


@pytest.mark.parametrize(
    ("mixture", "rate", "message"),
    [
        (np.zeros((2, 0), np.float32), RATE, "empty"),
        (np.zeros(100, np.float32), RATE, r"\[channels, samples\], got \(100,\)"),
        (np.zeros((100, 2), np.float32), RATE, r"with 1 or 2 channels, got 100"),
        (np.zeros((6, 100), np.float32), RATE, "with 1 or 2 channels, got 6"),
        (np.zeros((2, 100), np.int16), RATE, "floating-point samples .* got int16"),
        (torch.zeros(2, 100, dtype=torch.int32), RATE, "floating-point samples .* got torch.int32"),
        ([[0.0, 1.0]], RATE, "numpy array or a torch tensor, got list"),
        (np.full((2, 100), np.nan, np.float32), RATE, "mixture: .*NaN or infinity at 0.000 s"),
        (np.full((2, 100), np.inf, np.float32), RATE, "mixture: .*NaN or infinity at 0.000 s"),
        (np.zeros((2, 100), np.float32), 0, "positive whole number of Hz, got 0"),
        (np.zeros((2, 100), np.float32), 44100.5, "positive whole number of Hz, got 44100.5"),
    ],
)
def test_bad_mixtures(separator, mixture, rate, message):
    with pytest.raises(ValueError, match=message):
        separator.separate(mixture, rate)


def test_empty_stream(separator):
    with pytest.raises(ValueError, match="empty"):
        list(separator.separate_stream(iter([]), RATE))


@pytest.mark.parametrize("device", ["quantum", "meta", "cuda:99"])
def test_device_that_is_not_here(device):
    with pytest.raises(ValueError, match=f"device must be .*on this machine, got {device}") as caught:
        NetworkSeparator(ScaledCopies(), SETTINGS, device)
    assert "\n" not in str(caught.value)


@pytest.mark.gpu
def test_gpu():
    mixture = noise(20_000)
    stem = NetworkSeparator(ScaledCopies(), SETTINGS, "cuda").separate(mixture)["other"]
    np.testing.assert_allclose(stem, 4 * mixture, rtol=1e-5, atol=1e-5)
    on_gpu = NetworkSeparator(ScaledCopies(), SETTINGS, "cuda").separate(torch.from_numpy(mixture).cuda())["other"]
    assert on_gpu.is_cuda


def test_progress_bar_only_on_request(separator, capsys):
    separator.separate(noise(3 * RATE))
    assert capsys.readouterr().err == ""
    separator.separate(noise(3 * RATE), progress=True)
    assert "100%" in (shown := capsys.readouterr().err) and "3/3" in shown


def test_load_separator(shipped):
    separator = load_separator(device="cpu")
    assert (separator.name, separator.settings, separator.stems) == ("small@1a2b3c4d", SETTINGS, STEMS)
    separator = load_separator("small", "cpu", ["bass"], overlap=0.25)
    assert separator.settings == SeparateConfig(0.1, 0.25, 3) and separator.stems == ("bass",)
    assert load_separator().device.type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_load_separator_changes_how_it_separates_and_nothing_else(shipped):
    separator = load_separator(settings={"separate.segment_s": "0.2", "separate.batch": 2})
    assert separator.settings == SeparateConfig(0.2, SETTINGS.overlap, 2)
    with pytest.raises(ValueError, match="model.hidden is fixed by the checkpoint"):
        load_separator(settings={"model.hidden": 8})
    with pytest.raises(ValueError, match="did you mean 'separate.segment_s'"):
        load_separator(settings={"separate.segments": 8})


def test_load_separator_checks_the_overlap(shipped):
    with pytest.raises(ValueError, match="separate.overlap .* got 1.5"):
        load_separator(overlap=1.5)


def test_overlap_changes_the_compute_not_the_length():
    mixture = noise(44_100)
    costs = []
    for overlap in (0.0, 0.5, 0.75):
        separator = NetworkSeparator(ScaledCopies(), SeparateConfig(0.1, overlap, 2))
        assert separator.separate(mixture)["vocals"].shape == mixture.shape
        costs.append(sum(separator.network.lengths))
    assert costs[0] == 44_100 and all(more > 1.5 * less for less, more in itertools.pairwise(costs))


@pytest.mark.parametrize("name", ["small", "tiny"])
def test_loudness_does_not_matter_to_the_shipped_networks(name):
    """A real excerpt 20 dB quieter has the same stems: rounding in nearly silent bins does not change them."""
    (track,) = open_tracks(shipped_excerpt().parent, "train", STEMS)
    mixture = track.read_stem("mixture")[:, : 3 * RATE].astype(np.float32)
    separator = load_separator(name, device="cpu")
    expected, quieter = separator.separate(mixture), separator.separate(np.float32(0.1) * mixture)
    for stem in STEMS:
        assert np.abs(10 * quieter[stem] - expected[stem]).max() < 1e-4 * np.abs(expected[stem]).max()
