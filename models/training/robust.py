"""Training on stems of which some are dirty: losses without what fits worst, and targets that a teacher mends."""

import numpy as np
import torch
from torch import Tensor, nn

from models.bsrnn import Estimate
from models.presets.preset import Preset
from models.presets.training import TrainConfig

SILENCE = 1e-8
SILENT_SHARE = 1e-2
"""Frames 20 dB below the mean of their stem in a batch begin to count as silent."""
FRAME_SAMPLES = 2048
"""Samples in a frame whose error is judged, 46 ms at 44.1 kHz."""


class TruncatedLoss(nn.Module):
    """A loss that leaves out the examples, or the frames, whose targets the network misses most in a batch.

    A network learns what most targets have in common before it learns what is wrong with a few: so a target that is
    not in its estimate is likely to be wrong. For each stem the missed shares of the targets, see ``missed_share``, are
    compared over the batch (examples), or over the batch and time (frames); those above the quantile are replaced by
    their targets, which gives them neither loss nor gradient. At least one is always kept.

    Source: the winners of board A in Fabbro et al. 2023 (arXiv 2308.06979), after Kang & Hashimoto 2020 ("Improved
    natural language generation via loss truncation"); over time as Kim, Lee & Jung 2023 (TFC-TDF-UNet v3, arXiv
    2306.09382) against bleeding.
    Differs: all of these compare errors. Ours differ by 40 dB between loud and quiet targets: without the quarter of
    the largest, which are the loud ones, a network learned silence. The sum is over all examples, so that fewer kept
    ones make the loss smaller.

    Args:
        loss: (``Estimate``, targets) to a scalar.
        keep_examples: share of the examples that are kept.
        keep_frames: share of the frames that are kept.
        begin: first step of truncation.

    Attributes:
        step: of the training; whoever trains sets it.
    """

    def __init__(self, loss: nn.Module, keep_examples: float, keep_frames: float, begin: int) -> None:
        super().__init__()
        self.loss = loss
        self.keep_examples, self.keep_frames, self.begin = keep_examples, keep_frames, begin
        self.step = 0

    def forward(self, estimate: Estimate, targets: Tensor) -> Tensor:
        """Estimate and targets [B, S, C, T] to a scalar."""
        if self.step < self.begin:
            return self.loss(estimate, targets)
        batch, stems, _, length = targets.shape
        kept = torch.ones(batch, stems, length, dtype=torch.bool, device=targets.device)
        if self.keep_examples < 1:
            kept &= least(missed_share(estimate.waveforms.detach(), targets, length), self.keep_examples)
        if self.keep_frames < 1:
            frames = missed_share(estimate.waveforms.detach(), targets, FRAME_SAMPLES)
            kept &= least(frames, self.keep_frames).repeat_interleave(FRAME_SAMPLES, dim=-1)[..., :length]
        return self.loss(self._with_targets(estimate, targets, kept), targets)

    def _with_targets(self, estimate: Estimate, targets: Tensor, kept: Tensor) -> Estimate:
        """The estimate where it is kept [B, S, T], the targets elsewhere."""
        waveforms = torch.where(kept[:, :, None], estimate.waveforms, targets)
        if estimate.spectrograms is None:
            return Estimate(waveforms)
        transform = getattr(self.loss, "spectrogram", None)
        if transform is None:  # a loss that judges waveforms alone
            return Estimate(waveforms)
        spectrograms, reference = estimate.spectrograms, transform(targets)
        num_frames = spectrograms.shape[-1]
        places = (torch.arange(num_frames, device=kept.device) * transform.hop).clamp(max=kept.shape[-1] - 1)
        return Estimate(waveforms, torch.where(kept[:, :, None, None, places], spectrograms, reference))


def missed_share(waveforms: Tensor, targets: Tensor, frame: int) -> Tensor:
    """How much of each frame of a target is not in its estimate: 1 - <estimate, target> / |target|^2, [B, S, L].

    What else is in the estimate does not count. It is 0 for a frame that is silent beside the others of its stem.

    Args:
        waveforms: estimates [B, S, C, T].
        targets: as them.
        frame: samples in a frame; the last may be shorter.
    """
    pair = torch.stack([targets * (targets - waveforms), targets.square()]).mean(dim=3)  # [2, B, S, T]
    missed, energy = nn.functional.avg_pool1d(pair.flatten(0, 1), frame, frame, ceil_mode=True).unflatten(0, (2, -1))
    floor = SILENT_SHARE * energy.mean(dim=(0, 2), keepdim=True) + SILENCE**2
    return missed / (energy + floor)


def least(errors: Tensor, share: float) -> Tensor:
    """Which of the errors [B, S, L] belong to the least ``share`` of their stem over batch and time; one at least."""
    flat = errors.transpose(0, 1).flatten(1)  # [S, B L]
    count = max(1, round(share * flat.shape[1]))
    threshold = flat.kthvalue(count, dim=1).values
    return errors <= threshold[None, :, None]


def with_truncation(loss: nn.Module, preset: Preset) -> nn.Module:
    """The loss, truncated if the settings say so.

    Raises:
        ValueError: a teacher for a network that needs both channels of a mixture and gives one.
    """
    config = preset.train
    if config.teacher and getattr(preset.model, "stereo", "folded") == "spatial" and preset.data.channels == 1:
        raise ValueError("train.teacher: targets of one channel do not fit model.stereo=spatial; set data.channels=2")
    if config.keep_examples == config.keep_frames == 1:
        return loss
    return TruncatedLoss(loss, config.keep_examples, config.keep_frames, config.keep_all_steps)


@torch.no_grad()
def taught_targets(teacher: nn.Module, targets: Tensor, config: TrainConfig, step: int) -> Tensor:
    """The targets of a step, mended by a teacher in some of the steps.

    Source: Goswami & Harada's mean teacher loss, Fabbro et al. 2023 (arXiv 2308.06979) and naba89/iseparate-sdx: the
    averaged weights separate each noisy target alone, and the estimates of one stem, over all targets, are added up.
    Differs: instead of the given targets, not beside them, and in a share of the steps, as it takes S passes.

    Args:
        teacher: the averaged network.
        targets: [B, S, C, T].
        config: how often, and from when on.
        step: of the training; decides by the seed.

    Returns:
        [B, S, C, T].
    """
    if not config.teacher or step < config.keep_all_steps:
        return targets
    if np.random.default_rng([config.seed, step]).random() >= config.teacher:
        return targets
    is_training = teacher.training
    teacher.eval()
    try:
        peaks = targets.abs().amax(dim=(2, 3), keepdim=True).clamp_min(SILENCE)  # each alone as loud as a mixture
        pairs = zip((targets / peaks).unbind(dim=1), peaks.unbind(dim=1), strict=True)
        return torch.stack([teacher(target).waveforms * peak[:, None] for target, peak in pairs]).sum(dim=0)
    finally:
        teacher.train(is_training)
