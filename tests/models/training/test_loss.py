"""Losses: the paper's three terms, on the masked spectrogram where there is one; several resolutions; Demucs's."""

import pytest
import torch

from models.bsrnn import Estimate
from models.bsrnn.spectrogram import Spectrogram
from models.presets.preset import load_preset
from models.presets.settings import override
from models.training.loss import (
    ComplexL1Loss,
    LogErrorLoss,
    MultiResolutionLoss,
    SpectrogramRmseLoss,
    WaveformL1Loss,
    build_loss,
)


def test_zero_for_a_perfect_estimate_and_three_terms_otherwise():
    torch.manual_seed(0)
    targets, estimates = torch.randn(2, 3, 1, 4096), torch.randn(2, 3, 1, 4096)
    loss = ComplexL1Loss(512, 128)
    assert loss(Estimate(targets), targets) == 0
    difference = Spectrogram(512, 128)(estimates - targets)
    expected = difference.real.abs().mean() + difference.imag.abs().mean() + (estimates - targets).abs().mean()
    assert loss(Estimate(estimates), targets).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_masked_spectrogram_is_judged_itself():
    targets = torch.randn(1, 1, 1, 4096)
    spectrogram = Spectrogram(512, 128)(targets)
    loss = ComplexL1Loss(512, 128)
    off = loss(Estimate(targets, spectrogram + 1), targets)
    assert off.item() == pytest.approx(1.0, rel=1e-5)


def test_it_does_not_vanish_at_batch_size_one():
    targets = torch.randn(1, 1, 1, 2048)
    assert ComplexL1Loss(512, 128)(Estimate(torch.zeros_like(targets)), targets) > 0.1


def test_the_waveform_loss_sees_the_waveform_alone():
    targets, spectrogram = torch.randn(1, 2, 1, 2048), torch.randn(1, 2, 1, 257, 17, dtype=torch.complex64)
    assert WaveformL1Loss()(Estimate(targets + 0.25, spectrogram), targets).item() == pytest.approx(0.25)


RESOLUTIONS = (64, 16, 8)


def make_pair(length: int = 100) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(length)
    estimates, targets = torch.randn(2, 2, 3, 2, length, generator=generator)
    return estimates, targets


@pytest.mark.parametrize("length", [1, 31, 32, 100])
def test_several_resolutions_are_the_mean_of_the_papers_terms(length):
    estimates, targets = make_pair(length)
    loss = MultiResolutionLoss(RESOLUTIONS)(Estimate(estimates), targets)
    papers = [ComplexL1Loss(n_fft, n_fft // 2)(Estimate(estimates), targets) for n_fft in RESOLUTIONS]
    torch.testing.assert_close(loss, torch.stack(papers).mean())


@pytest.mark.parametrize("length", [1, 31, 32, 100])
def test_the_written_gradient_is_autograds(length):
    estimates, targets = make_pair(length)
    gradients = []
    for losses in ([MultiResolutionLoss(RESOLUTIONS)], [ComplexL1Loss(n_fft, n_fft // 2) for n_fft in RESOLUTIONS]):
        leaf = estimates.clone().requires_grad_()
        (sum(3 * loss(Estimate(leaf), targets) for loss in losses) / len(losses)).backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients)


def test_several_resolutions_are_zero_for_a_perfect_estimate_alone():
    estimates, targets = make_pair()
    loss = MultiResolutionLoss(RESOLUTIONS)
    assert loss(Estimate(targets), targets) == 0
    assert loss(Estimate(estimates), targets) > 0.1
    assert loss(Estimate(targets[:1] * 0), targets[:1]) > 0.1


def test_several_resolutions_hear_phase_and_judge_the_waveform():
    targets = torch.sin(torch.arange(8192) * 0.1)[None, None, None]
    loss = MultiResolutionLoss()
    quarter = torch.cos(torch.arange(8192) * 0.1)[None, None, None]
    assert loss(Estimate(-targets), targets) > loss(Estimate(quarter), targets) > loss(Estimate(0.9 * targets), targets)
    spectrograms = torch.randn(1, 1, 1, 257, 17, dtype=torch.complex64)
    assert loss(Estimate(targets, spectrograms), targets) == 0


def test_several_resolutions_have_a_finite_gradient_in_silence():
    silence = torch.zeros(1, 2, 1, 5000, requires_grad=True)
    MultiResolutionLoss()(Estimate(silence), torch.zeros(1, 2, 1, 5000)).backward()
    assert not silence.grad.any()


def test_each_preset_trains_with_the_loss_it_names():
    assert isinstance(build_loss(override(load_preset("hdemucs-small"), {"train.loss": "waveform"})), WaveformL1Loss)
    paper = build_loss(load_preset("paper-vocals"))
    assert isinstance(paper, ComplexL1Loss) and (paper.spectrogram.n_fft, paper.spectrogram.hop) == (2048, 512)
    several = build_loss(override(load_preset("small"), {"train.loss": "multiresolution"}))
    assert isinstance(several, MultiResolutionLoss) and several.resolutions == (4096, 2048, 1024, 512, 256)
    assert isinstance(build_loss(override(load_preset("small"), {"train.loss": "rmse"})), SpectrogramRmseLoss)
    own = build_loss(override(load_preset("small"), {"train.loss": "complex"}))
    assert (own.spectrogram.n_fft, own.spectrogram.hop) == (4096, 2048)


def test_a_large_log_error_is_minus_the_sdr_but_for_the_targets_own_level():
    torch.manual_seed(0)
    targets = 3 * torch.randn(2, 3, 1, 4000)
    noise = torch.randn(2, 3, 1, 4000)
    loss = LogErrorLoss()
    sdr = 10 * torch.log10(targets.square().sum((-2, -1)) / noise.square().sum((-2, -1)))
    level = 10 * torch.log10(targets.square().mean((-2, -1)))
    found = loss(Estimate(targets + noise, None), targets)
    assert float(found) == pytest.approx(float((level - sdr).mean()), abs=0.1)
    louder = loss(Estimate(targets + 10 * noise, None), targets)
    assert float(louder - found) == pytest.approx(20, abs=0.1)


def test_a_small_log_error_counts_by_its_size():
    """Far below the floor, the gradient is the error's, not that of its logarithm: quiet moments weigh little."""
    torch.manual_seed(0)
    targets, noise = torch.zeros(1, 1, 1, 4000), torch.randn(1, 1, 1, 4000)
    slopes = []
    for level in (1e-4, 1e-3):
        estimate = (level * noise).requires_grad_()
        LogErrorLoss()(Estimate(estimate, None), targets).backward()
        slopes.append(float(estimate.grad.norm()))
    assert slopes[1] / slopes[0] == pytest.approx(10, rel=0.01)


def test_the_log_error_of_a_perfect_estimate_is_its_floor_and_pulls_no_further():
    targets = torch.zeros(1, 1, 1, 100)
    estimate = torch.zeros_like(targets, requires_grad=True)
    loss = LogErrorLoss()(Estimate(estimate, None), targets)
    loss.backward()
    assert loss.item() == pytest.approx(LogErrorLoss.FLOOR_DB) and not estimate.grad.any()


def test_the_root_of_the_squared_error_is_that_of_each_example_and_stem():
    """White noise of power p has the power p times the mean squared window in each bin, half of it real."""
    torch.manual_seed(0)
    targets = 0.1 * torch.randn(2, 2, 1, 60_000)
    powers = torch.tensor([[1.0, 4.0], [9.0, 0.0]]).reshape(2, 2, 1, 1)
    loss = SpectrogramRmseLoss(512, 128)
    found = loss(Estimate(targets + powers.sqrt() * torch.randn_like(targets), None), targets)
    window = torch.hann_window(512).square().mean()
    assert float(found) == pytest.approx(float((powers * window / 2).sqrt().mean()), rel=0.02)


def test_the_root_of_the_squared_error_has_a_finite_gradient_at_a_perfect_estimate():
    estimate = torch.zeros(1, 2, 1, 1000, requires_grad=True)
    SpectrogramRmseLoss(256, 64)(Estimate(estimate, None), torch.zeros_like(estimate)).backward()
    assert not estimate.grad.any()
