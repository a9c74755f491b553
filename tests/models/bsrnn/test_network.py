"""Laws of the whole network: the unit mask returns the mixture, a zero mask is silence, every length goes through."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from models.bsrnn import BSRNN, BSRNNConfig

TINY = BSRNNConfig(
    stems=("vocals", "drums", "bass"),
    n_fft=64,
    hop=16,
    bands="900:1800,1800:3600,900:5400,3600:19800",  # equal widths apart from each other
    features=4,
    hidden=5,
    layers=2,
    mask_factor=2,
)
VARIANTS = {
    "paper": TINY,
    "sorted": dataclasses.replace(TINY, bands="2k:8k,4k:20k"),
    "rms": dataclasses.replace(TINY, norm="rms", level_inputs=True),
    "attention": dataclasses.replace(TINY, attention_heads=2),
    "attention-rms": dataclasses.replace(TINY, attention_heads=1, norm="rms", level_inputs=True),
    "tac": dataclasses.replace(TINY, stereo="tac"),
    "spatial": dataclasses.replace(TINY, stereo="spatial"),
    "spatial-tuned": dataclasses.replace(TINY, stereo="spatial", norm="rms", level_inputs=True, attention_heads=2),
    "tac-attention-rms": dataclasses.replace(TINY, stereo="tac", attention_heads=2, norm="rms", level_inputs=True),
}


def make_network(config: BSRNNConfig = TINY) -> BSRNN:
    """An untrained network whose attention, exchange and spatial cues have left their zero start."""
    torch.manual_seed(0)
    network = BSRNN(config).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if any(part in name for part in ("attention.output", "exchange.output", "spatial.")):
                parameter.normal_(std=0.1)
    return network


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def force_masks(network: BSRNN, real: float, imaginary: float) -> None:
    """Make every mask this constant through the last layers' biases alone."""
    with torch.no_grad():
        for masks in network.masks:
            for output in masks.outputs:
                output.weight.zero_()
                value, gate = output.bias.chunk(2, dim=-1)
                value[..., 0::2], value[..., 1::2] = real, imaginary
                gate.fill_(100.0)  # sigmoid(100) is 1


@pytest.fixture(params=VARIANTS)
def config(request) -> BSRNNConfig:
    return VARIANTS[request.param]


class TestEveryVariant:
    @pytest.mark.parametrize("length", [1, 15, 16, 17, 501])
    def test_unit_masks_return_the_mixture(self, config, length):
        network, mixture = make_network(config), noise(2, 2, length).clamp(-1, 1)
        force_masks(network, 1.0, 0.0)
        with torch.no_grad():
            estimate = network(mixture)
        assert estimate.waveforms.shape == (2, 3, 2, length)
        assert (estimate.waveforms - mixture[:, None]).abs().max() < 1e-6
        assert torch.equal(estimate.spectrograms[:, 1], network.spectrogram(mixture))

    def test_masks_are_multiplied_as_complex_numbers(self, config):
        network, mixture = make_network(config), noise(1, 2, 200)
        force_masks(network, 0.6, 0.8)
        expected = (0.6 + 0.8j) * network.spectrogram(mixture)
        torch.testing.assert_close(network(mixture).spectrograms[:, 2], expected)

    def test_zero_masks_are_silence(self, config):
        network = make_network(config)
        force_masks(network, 0.0, 0.0)
        waveforms = network(5 + noise(2, 2, 300)).waveforms
        assert torch.equal(waveforms, torch.zeros(2, 3, 2, 300))

    def test_silence_stays_silent_and_finite(self, config):
        network = make_network(config).train()
        estimate = network(torch.zeros(2, 2, 100))
        assert torch.equal(estimate.waveforms, torch.zeros(2, 3, 2, 100))
        network.estimate_masks(estimate.spectrograms[:, 0]).abs().square().sum().backward()
        assert all(parameter.grad.isfinite().all() for parameter in network.parameters())

    def test_every_length_goes_through_one_network(self, config):
        network = make_network(config)
        for length in (1, 2, 100, 333, 64):
            estimate = network(noise(1, 2, length))
            assert estimate.waveforms.shape == (1, 3, 2, length)
            assert estimate.spectrograms.shape == (1, 3, 2, 33, -(-length // 16) + 1)
            assert estimate.waveforms.isfinite().all()
            restored = network.spectrogram.inverse(estimate.spectrograms, length)
            torch.testing.assert_close(estimate.waveforms, restored)

    def test_examples_do_not_mix(self, config):
        network, mixtures = make_network(config), noise(3, 2, 200)
        alone = torch.cat([network(mixture[None]).waveforms for mixture in mixtures])
        torch.testing.assert_close(network(mixtures).waveforms, alone, rtol=1e-4, atol=1e-5)

    def test_gradients_reach_every_parameter_of_every_band(self, config):
        network = make_network(config)
        network(noise(2, 2, 400)).waveforms.square().mean().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
            # Parameters of the split and the masks have one slice for each band.
            slices = parameter.grad.flatten(1) if parameter.ndim == 3 or "norms" in name else parameter.grad[None]
            assert (slices.flatten(1).abs().amax(dim=1) > 0).all(), name

    def test_gradients_of_one_band_stay_in_its_masker(self, config):
        network = make_network(config)
        spectrograms = network(noise(2, 2, 400)).spectrograms
        widths = config.band_widths
        for band, part in enumerate(spectrograms[:, 1].split(list(widths), dim=2)):
            network.zero_grad()
            part.abs().square().sum().backward(retain_graph=True)
            group = list(dict.fromkeys(widths)).index(widths[band])
            place = [other for other, width in enumerate(widths) if width == widths[band]].index(band)
            for index, output in enumerate(network.masks[1].outputs):
                reached = output.weight.grad.abs().amax(dim=(1, 2)) > 0
                assert reached.tolist() == [index == group and row == place for row in range(len(reached))]
            assert all(
                parameter.grad is None or not parameter.grad.any() for parameter in network.masks[0].parameters()
            )


@pytest.mark.parametrize("stereo", ["folded", "spatial"])
class TestMidAndSide:
    def test_it_is_the_plain_network_between_two_rotations(self, stereo):
        plain = make_network(dataclasses.replace(TINY, stereo=stereo))
        network, mixture = make_network(dataclasses.replace(TINY, stereo=stereo, mid_side=True)), noise(2, 2, 300)
        rotation = torch.tensor([[1.0, 1.0], [1.0, -1.0]]) / 2**0.5
        with torch.no_grad():
            expected = rotation @ plain(rotation @ mixture).waveforms
            estimate = network(mixture)
            torch.testing.assert_close(estimate.waveforms, expected, rtol=1e-4, atol=1e-5)
            restored = network.spectrogram.inverse(estimate.spectrograms, 300)
            torch.testing.assert_close(restored, estimate.waveforms)
            assert not torch.allclose(estimate.waveforms, plain(mixture).waveforms, atol=1e-3)

    @pytest.mark.parametrize("length", [1, 17, 501])
    def test_unit_masks_return_the_mixture(self, stereo, length):
        network = make_network(dataclasses.replace(TINY, stereo=stereo, mid_side=True))
        force_masks(network, 1.0, 0.0)
        mixture = noise(2, 2, length).clamp(-1, 1)
        with torch.no_grad():
            assert (network(mixture).waveforms - mixture[:, None]).abs().max() < 1e-6

    def test_one_channel_is_estimated_as_it_is(self, stereo):
        network, mixture = make_network(dataclasses.replace(TINY, stereo=stereo, mid_side=True)), noise(1, 2, 200)
        plain = make_network(dataclasses.replace(TINY, stereo=stereo))
        assert torch.equal(network(mixture, 1).waveforms, plain(mixture, 1).waveforms)
        assert torch.equal(network(mixture[:, :1]).waveforms, plain(mixture[:, :1]).waveforms)


def test_folded_channels_are_examples_of_their_own():
    network, mixture = make_network(), noise(2, 2, 200)
    estimate = network(mixture).waveforms
    torch.testing.assert_close(network(mixture.flip(1)).waveforms, estimate.flip(2), rtol=1e-4, atol=1e-5)
    for channel in range(2):
        alone = network(mixture[:, channel : channel + 1]).waveforms
        torch.testing.assert_close(alone, estimate[:, :, channel : channel + 1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["tac", "tac-attention-rms"])
def test_exchanging_channels_hear_each_other_and_have_no_order(name):
    network, mixture = make_network(VARIANTS[name]), noise(2, 2, 200)
    estimate = network(mixture).waveforms
    torch.testing.assert_close(network(mixture.flip(1)).waveforms, estimate.flip(2), rtol=1e-4, atol=1e-5)
    changed = torch.cat([mixture[:, :1], noise(2, 1, 200)], dim=1)
    assert (network(changed).waveforms - estimate)[:, :, 0].abs().max() > 1e-4


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_equal_channels_come_out_equal_as_one_would(channels):
    network, mixture = make_network(VARIANTS["tac"]), noise(2, 1, 200)
    several = network(mixture.expand(-1, channels, -1)).waveforms
    alone = network(mixture).waveforms
    torch.testing.assert_close(several, alone.expand_as(several), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [{"attention_heads": 2}, {"stereo": "tac"}, {"attention_heads": 1, "stereo": "tac"}, {"stereo": "spatial"}],
)
def test_what_later_work_added_starts_as_the_papers_network(change):
    """A trained network goes on with attention or exchange from where it was."""
    trained, extended = make_network(), BSRNN(dataclasses.replace(TINY, **change))
    missing, unexpected = extended.load_state_dict(trained.state_dict(), strict=False)
    assert missing and not unexpected
    mixture = noise(2, 2, 200)
    assert torch.equal(extended(mixture).waveforms, trained(mixture).waveforms)


def test_each_stem_has_its_own_masker_in_order():
    network, mixture = make_network(), noise(1, 2, 200)
    before = network(mixture).waveforms
    assert network.stems == ("vocals", "drums", "bass") and len(network.masks) == 3
    with torch.no_grad():
        for output in network.masks[1].outputs:
            output.weight.zero_()
            output.bias.zero_()
    after = network(mixture).waveforms
    assert not after[:, 1].any()
    assert torch.equal(after[:, [0, 2]], before[:, [0, 2]])
    assert (before[:, 0] - before[:, 2]).abs().max() > 1e-4


def test_low_precision_stays_between_split_and_masks():
    """Under bfloat16 autocast the spectrogram, its masking and its inverse are still float32."""
    network, mixture = make_network(VARIANTS["rms"]), noise(1, 2, 200).clamp(-1, 1)
    network.sequence = nn.ModuleList()  # some CPUs have no bfloat16 LSTM
    force_masks(network, 1.0, 0.0)
    mixture = mixture.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        estimate = network(mixture)
    assert estimate.waveforms.dtype == torch.float32
    assert (estimate.waveforms - mixture[:, None]).abs().max() < 1e-6


def test_attributes_are_what_a_separator_needs():
    network = make_network(dataclasses.replace(TINY, sample_rate=48000))
    assert (network.stems, network.sample_rate, network.channels) == (("vocals", "drums", "bass"), 48000, 2)
