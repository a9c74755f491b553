"""Truncated losses and mended targets: what is left out, never everything, nothing before its time."""

import csv
import dataclasses

import pytest
import torch
from torch import nn

from conftest import SAMPLE_RATE, STEMS, TINY, with_train
from models.bsrnn import Estimate
from models.bsrnn.spectrogram import Spectrogram
from models.presets.training import TrainConfig
from models.training import clock
from models.training.data.packs import prepare_pack
from models.training.loop import train
from models.training.loss import ComplexL1Loss, LogErrorLoss, MultiResolutionLoss, WaveformL1Loss, build_loss
from models.training.robust import FRAME_SAMPLES, TruncatedLoss, least, missed_share, taught_targets

LENGTH = 4 * FRAME_SAMPLES
LOSSES = [WaveformL1Loss(), LogErrorLoss(), MultiResolutionLoss((64, 16)), ComplexL1Loss(512, 128)]


def pair(batch: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Estimates that hold nothing of example 1 for stem 0 and of example 2 for stem 1; and targets.

    Their error is not the largest: example 3 is ten times as loud.
    """
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(batch, 2, 1, LENGTH, generator=generator)
    error = 0.1 * torch.randn(batch, 2, 1, LENGTH, generator=generator)
    if batch > 2:
        targets[3] *= 10
        error[3] *= 20
        error[1, 0] = 0.1 * error[1, 0] - targets[1, 0]
        error[2, 1] = 0.1 * error[2, 1] - targets[2, 1]
    return (targets + error).requires_grad_(), targets


def gradient(loss: nn.Module, estimates: torch.Tensor, targets: torch.Tensor, spectral: bool = False) -> torch.Tensor:
    """Energy of the loss's gradient for each example and stem, [B, S]."""
    spectrograms = Spectrogram(512, 128)(estimates) if spectral else None
    loss(Estimate(estimates, spectrograms), targets).backward()
    return estimates.grad.square().sum(dim=(-2, -1))


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_the_examples_that_are_missed_most_teach_nothing(loss, spectral):
    estimates, targets = pair()
    energy = gradient(TruncatedLoss(loss, 0.75, 1.0, 0), estimates, targets, spectral)
    assert energy[1, 0] == energy[2, 1] == 0
    energy[1, 0] = energy[2, 1] = 1.0
    assert (energy > 0).all()


@pytest.mark.parametrize("spectral", [False, True])
def test_the_frames_that_are_missed_most_teach_nothing(spectral):
    estimates, targets = pair(2)
    with torch.no_grad():
        estimates[1, 0, :, FRAME_SAMPLES : 2 * FRAME_SAMPLES] *= -0.1
    loss = ComplexL1Loss(512, 128)
    gradient(TruncatedLoss(loss, 1.0, 0.875, 0), estimates, targets, spectral)
    bad = estimates.grad[1, 0, :, FRAME_SAMPLES + 512 : 2 * FRAME_SAMPLES - 512]
    assert not bad.any() and estimates.grad[1, 1].any()
    assert estimates.grad[1, 0, :, :FRAME_SAMPLES].any() and estimates.grad[0].any()


@pytest.mark.parametrize(("examples", "frames"), [(0.01, 1.0), (1.0, 0.01), (0.5, 0.5)])
def test_something_is_kept_at_batch_size_one(examples, frames):
    estimates, targets = pair(1)
    assert (gradient(TruncatedLoss(WaveformL1Loss(), examples, frames, 0), estimates, targets) > 0).all()


def test_the_missed_share_of_a_target():
    time = torch.arange(40.0)
    target, other = torch.sin(time * torch.pi / 5), torch.cos(time * torch.pi / 5)
    targets = torch.stack([target, target, target, 0 * target])[None, :, None]  # [1, S, 1, T]
    estimates = torch.stack([0.25 * target, target + 3 * other, other, other])[None, :, None]
    expected = torch.tensor([0.75, 0.0, 1.0, 0.0]) / 1.01  # by the floor below which a frame counts as silent
    for frame in (40, 20, 10):
        shares = missed_share(estimates, targets, frame)
        assert shares.shape == (1, 4, 40 // frame)
        torch.testing.assert_close(shares, expected[:, None].expand(4, 40 // frame)[None], atol=1e-5, rtol=0)
    assert missed_share(estimates, targets, 15).shape == (1, 4, 3)


def test_silent_stretches_of_a_target_are_not_missed():
    targets = torch.ones(1, 1, 1, 20)
    targets[..., 10:] = 1e-3
    assert missed_share(0 * targets, targets, 10)[0, 0].tolist() == pytest.approx([1, 0], abs=0.02)


def test_the_least_errors_of_each_stem_over_batch_and_time():
    errors = torch.tensor([[[1.0, 2.0], [9.0, 8.0]], [[4.0, 3.0], [6.0, 7.0]]])  # [B, S, L]
    assert least(errors, 0.5).tolist() == [[[True, True], [False, False]], [[False, False], [True, True]]]
    assert least(errors, 0.01).sum() == 2 and least(errors, 1.0).all()


def test_all_count_until_the_first_step_of_truncation():
    estimates, targets = pair()
    loss = TruncatedLoss(WaveformL1Loss(), 0.5, 1.0, 10)
    plain = WaveformL1Loss()(Estimate(estimates), targets)
    loss.step = 9
    assert loss(Estimate(estimates), targets) == plain
    loss.step = 10
    assert loss(Estimate(estimates), targets) < 0.9 * plain


def test_presets_truncate_only_where_they_say_so():
    assert isinstance(build_loss(TINY), ComplexL1Loss)
    loss = build_loss(with_train(keep_examples=0.8, keep_frames=0.9, keep_all_steps=7))
    assert isinstance(loss, TruncatedLoss) and isinstance(loss.loss, ComplexL1Loss)
    assert (loss.keep_examples, loss.keep_frames, loss.begin) == (0.8, 0.9, 7)


class Exchanger(nn.Module):
    """Hears the first stem as the second and the second as the first, as loud as they are."""

    def forward(self, mixture: torch.Tensor) -> Estimate:
        assert not self.training and mixture.abs().amax() <= 1 + 1e-6
        first = mixture * (mixture > 0)
        return Estimate(torch.stack([mixture - first, first], dim=1))


def test_a_teacher_files_what_it_hears_in_any_target():
    targets = torch.tensor([[[[0.5, -0.25]], [[0.25, -0.5]]]])  # [1, 2, 1, 2]
    config = TrainConfig(ema=0.9, teacher=1.0)
    taught = taught_targets(Exchanger().train(), targets, config, 0)
    assert taught.tolist() == [[[[0.0, -0.75]], [[0.75, 0.0]]]]
    assert not taught_targets(Exchanger(), torch.zeros(1, 2, 1, 2), config, 0).any()


def test_a_teacher_teaches_in_its_share_of_the_steps_and_not_before_its_time():
    targets = torch.ones(1, 2, 1, 2)
    config = TrainConfig(ema=0.9, teacher=0.25, keep_all_steps=100)
    taught = [taught_targets(Exchanger(), targets, config, step) is not targets for step in range(1100)]
    assert not any(taught[:100]) and sum(taught) / 1000 == pytest.approx(0.25, abs=0.04)
    assert taught_targets(Exchanger(), targets, TrainConfig(), 500) is targets


def test_a_network_that_needs_both_channels_has_no_teacher_of_one():
    spatial = dataclasses.replace(TINY.model, stereo="spatial")
    preset = dataclasses.replace(with_train(teacher=0.5), model=spatial)
    with pytest.raises(ValueError, match="train.teacher: targets of one channel .* set data.channels=2"):
        build_loss(preset)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keep_examples": 0.0}, r"train.keep_examples: expected a share in \(0, 1\], got 0.0"),
        ({"keep_frames": 1.5}, "train.keep_frames"),
        ({"keep_all_steps": -1}, "train.keep_all_steps: expected at least 0"),
        ({"teacher": 0.5, "ema": 0.0}, "train.teacher: .* train.ema=0.0"),
        ({"teacher": 1.5, "ema": 0.9}, r"train.teacher: expected a probability"),
    ],
)
def test_settings_are_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**changes)


@pytest.mark.slow
def test_a_robust_run_learns_and_resumes_exactly(hq_root, tmp_path, monkeypatch):
    monkeypatch.setattr(clock, "LOG_EVERY", 1)
    pack = prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)
    robust = {"keep_examples": 0.5, "keep_frames": 0.8, "keep_all_steps": 3, "teacher": 0.5, "ema": 0.9}
    losses = {}
    for name, stop, changes in (("plain", 8, {"ema": 0.9}), ("robust", 8, robust), ("halves", 5, robust)):
        preset = with_train(schedule="exponential", validate_every=100, **{**changes, "steps": stop})
        train(preset, pack, tmp_path / name)
        losses[name] = tmp_path / name
    train(
        with_train(schedule="exponential", validate_every=100, steps=8, **robust), pack, losses["halves"], resume=True
    )
    plain, whole, halves = ([row["loss"] for row in rows(losses[name])] for name in ("plain", "robust", "halves"))
    assert whole == halves
    assert whole[:3] == plain[:3] and float(whole[3]) < 0.9 * float(plain[3])


def rows(folder) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))
