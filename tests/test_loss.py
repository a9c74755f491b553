"""The loss: the paper's three terms, on the masked spectrogram where there is one."""

import pytest
import torch

from models.bsrnn import Estimate
from models.bsrnn.spectrogram import Spectrogram
from models.training.loss import ComplexL1Loss, WaveformL1Loss


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
