"""An ensemble is the weighted mean of its members, for any chunks of each, with bounded memory."""

import weakref

import numpy as np
import pytest
import torch

from models.ensembles.ensemble import EnsembleSeparator, members_of, open_separator
from models.separation.separator import NetworkSeparator, load_separator
from models.signal.chunking import SeparateConfig
from scaled_copies import RATE, SETTINGS, STEMS, ScaledCopies, Squashed, noise
from submissions import write_checkpoint

LONG = SeparateConfig(segment_s=0.37, overlap=0.25, batch=2)


class Reversed(ScaledCopies):
    """Each stem is the mixture times its number: 4, 3, 2, 1."""

    def __init__(self) -> None:
        super().__init__()
        self.gains.data = self.gains.data.flip(0)


def member(network=ScaledCopies, settings=SETTINGS, stems=None, name="member") -> NetworkSeparator:
    return NetworkSeparator(network(), settings, stems=stems, name=name)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [RATE, 48000])
def test_the_mean_of_two(channels, rate):
    mixture = noise(30_000, channels)
    stems = EnsembleSeparator([member(), member(Reversed, LONG)]).separate(mixture, rate)
    members = [member().separate(mixture, rate), member(Reversed, LONG).separate(mixture, rate)]
    assert tuple(stems) == STEMS
    for stem, estimate in stems.items():
        assert estimate.shape == mixture.shape and estimate.dtype == np.float32
        np.testing.assert_allclose(estimate, sum(each[stem] for each in members) / 2, rtol=1e-5, atol=1e-6)
        if rate == RATE:
            np.testing.assert_allclose(estimate, 2.5 * mixture, rtol=1e-5, atol=1e-5)


def test_weights_for_each_stem():
    mixture = torch.from_numpy(noise(9000))
    shares = [{"vocals": 0.25, "drums": 1.0, "other": 2.0}, {"vocals": 0.75, "bass": 1.0, "other": 2.0}]
    stems = EnsembleSeparator([member(), member(Reversed)], shares).separate(mixture)
    assert tuple(stems) == ("vocals", "drums", "other", "bass")
    for stem, gain in {"vocals": 3.25, "drums": 2, "bass": 2, "other": 2.5}.items():
        torch.testing.assert_close(stems[stem], gain * mixture, rtol=1e-5, atol=1e-5)


def test_members_of_different_stems():
    mixture = noise(9000)
    ensemble = EnsembleSeparator([member(stems=["vocals"]), member(Reversed, stems=["bass", "vocals"])])
    assert ensemble.stems == ("vocals", "bass")
    for stem, gain in {"vocals": 2.5, "bass": 2}.items():
        np.testing.assert_allclose(ensemble.separate(mixture)[stem], gain * mixture, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [1000, 4410, 50_001])
def test_streams_stay_aligned_whatever_the_blocks(size):
    mixture = torch.from_numpy(noise(50_001))
    ensemble = EnsembleSeparator([member(), member(Reversed, LONG), member(settings=SeparateConfig(0.9, 0.0, 1))])
    pieces = list(ensemble.separate_stream(iter(mixture.split(size, dim=-1)), RATE))
    drums = torch.cat([piece["drums"] for piece in pieces], dim=-1)
    torch.testing.assert_close(drums, 7 / 3 * mixture, rtol=1e-5, atol=1e-5)


def test_memory_is_bounded():
    """Memory holds only the blocks of a stream that the longest chunks reach ahead."""
    alive: list[weakref.ref] = []
    most = 0

    def blocks():
        nonlocal most
        for _ in range(400):
            block = torch.ones(2, 2205)
            alive.append(weakref.ref(block))
            most = max(most, sum(reference() is not None for reference in alive))
            yield block

    ensemble = EnsembleSeparator([member(), member(Reversed, LONG)])
    total = sum(piece["vocals"].shape[-1] for piece in ensemble.separate_stream(blocks(), RATE))
    assert total == 400 * 2205
    assert most < 40  # 2 chunks of 0.37 s are 15 blocks of 0.05 s


@pytest.mark.parametrize("gain_db", [-60, -20, 12])
def test_loudness_does_not_matter(gain_db):
    mixture, gain = 0.1 * noise(20_000), 10 ** (gain_db / 20)
    ensemble = EnsembleSeparator([member(Squashed), member(Squashed, LONG)], [{"vocals": 0.7}, {"vocals": 0.3}])
    expected, got = ensemble.separate(mixture)["vocals"], ensemble.separate(gain * mixture)["vocals"]
    np.testing.assert_allclose(got, gain * expected, rtol=1e-4, atol=1e-6 * gain)
    assert np.abs(expected - mixture).max() > 1e-3  # the networks themselves depend on loudness


def test_members_that_do_not_fit_together():
    slow = type("Slow", (ScaledCopies,), {"sample_rate": 22050})
    mono = type("Mono", (ScaledCopies,), {"channels": 1})
    for other in (slow, mono):
        with pytest.raises(
            ValueError, match="one sample rate and one number of channels, got a 44100 Hz, 2 channels, b"
        ):
            EnsembleSeparator([member(name="a"), member(other, name="b")])
    with pytest.raises(ValueError, match="stems must be different ones of vocals, drums, bass, other, got piano"):
        EnsembleSeparator([member()], stems=["piano"])


def test_progress_bar(capsys):
    EnsembleSeparator([member(name="a"), member(name="b")]).separate(noise(3 * RATE), progress=True)
    assert "a + b: 100%" in (shown := capsys.readouterr().err) and "3/3" in shown


def test_one_checkpoint_several_or_a_file(tmp_path, mixture):
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    write_checkpoint(tmp_path / "a", seed=1)
    write_checkpoint(tmp_path / "b", stems=("vocals", "bass"), seed=2)
    alone = [load_separator(folder, "cpu").separate(mixture) for folder in (a, b)]
    one = open_separator([a], "cpu")
    assert isinstance(one, NetworkSeparator) and members_of(one) == (one,)
    mean = open_separator([a, b], "cpu", stems=["bass", "drums"]).separate(mixture)
    assert tuple(mean) == ("bass", "drums")
    np.testing.assert_allclose(mean["bass"], (alone[0]["bass"] + alone[1]["bass"]) / 2, atol=1e-7)
    np.testing.assert_array_equal(mean["drums"], alone[0]["drums"])
    file = tmp_path / "both.yaml"
    file.write_text(f"checkpoints: [{a}, {b}]\nweights:\n- {{stem: bass, shares: [0.1, 0.9]}}\n")
    weighted = open_separator([str(file)], "cpu", settings={"separate.segment_s": 1}).separate(mixture)
    expected = [load_separator(each, "cpu", settings={"separate.segment_s": 1}).separate(mixture) for each in (a, b)]
    np.testing.assert_allclose(weighted["bass"], 0.1 * expected[0]["bass"] + 0.9 * expected[1]["bass"], atol=1e-7)
    np.testing.assert_allclose(weighted["vocals"], (expected[0]["vocals"] + expected[1]["vocals"]) / 2, atol=1e-7)


def test_a_member_that_counts_in_no_wanted_stem_is_not_loaded(tmp_path):
    for seed, name in enumerate("ab"):
        write_checkpoint(tmp_path / name, seed=seed)
    (tmp_path / "b" / "weights.safetensors").write_bytes(b"damaged")
    file = tmp_path / "both.yaml"
    file.write_text(f"checkpoints: [{tmp_path / 'a'}, {tmp_path / 'b'}]\nweights:\n- {{stem: bass, shares: [1, 0]}}\n")
    assert len(members_of(open_separator([str(file)], "cpu", stems=["bass"]))) == 1
    with pytest.raises(ValueError, match="not a safetensors file"):
        open_separator([str(file)], "cpu", stems=["bass", "vocals"])
