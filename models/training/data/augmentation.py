"""Augmentations of one source: speed."""

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

SPEED_STEPS = 64
"""Speeds are whole numbers of 64ths, 0.27 semitones apart at 1: so few filters that all are kept."""
ZERO_CROSSINGS = 24
"""Of the interpolating sinc, on each side."""
ROLLOFF = 0.95
"""Cut-off of the interpolation filter, as a share of the lower Nyquist frequency."""
KAISER_BETA = 6.8
"""Side lobes of the filter below -70 dB."""


def draw_speed(generator: np.random.Generator, semitones: float) -> int:
    """A speed 2^(u / 12), u uniform in [-semitones, semitones], rounded to 64ths; in 64ths."""
    return round(SPEED_STEPS * 2 ** (generator.uniform(-semitones, semitones) / 12)) if semitones else SPEED_STEPS


def speed_margin(speed: int) -> int:
    """Samples that ``change_speed`` reads before the first and after the last moment it plays."""
    return 0 if speed == SPEED_STEPS else math.ceil(ZERO_CROSSINGS * max(1.0, speed / SPEED_STEPS))


def speed_span(num_samples: int, speed: int) -> int:
    """How many samples of a recording ``num_samples`` of the result play, margins left out."""
    return math.ceil(num_samples * speed / SPEED_STEPS)


def change_speed(audio: np.ndarray, num_samples: int, speed: int) -> np.ndarray:
    """Play a recording faster or slower, as a tape: pitch and tempo change together.

    Band-limited interpolation with a windowed sinc: sample n of the result is the recording at n speed / 64, what would
    alias removed. A 64th of the samples share a filter, so the whole is one matrix product.

    Args:
        audio: float32 [C, T]; its first moment lies ``speed_margin(speed)`` samples in.
        num_samples: length of the result; ``audio`` holds at least ``speed_span`` samples and two margins.
        speed: in 64ths.

    Returns:
        float32 [C, num_samples].
    """
    if speed == SPEED_STEPS:
        return audio[:, :num_samples]
    filters = _filters(speed)
    blocks = math.ceil(num_samples / SPEED_STEPS)
    needed = (blocks - 1) * speed + len(filters)
    padded = np.pad(audio, ((0, 0), (0, max(0, needed - audio.shape[-1]))))
    frames = torch.from_numpy(padded[:, :needed]).unfold(-1, len(filters), speed)  # [C, blocks, taps]
    return (frames @ filters).flatten(1)[:, :num_samples].numpy()


@cache
def _filters(speed: int) -> Tensor:
    """The filters of the 64 positions between samples, [taps, 64]."""
    margin = speed_margin(speed)
    positions = margin + np.arange(SPEED_STEPS) * speed / SPEED_STEPS
    distance = np.arange(2 * margin + speed + 1)[:, None] - positions
    cutoff = ROLLOFF * min(1.0, SPEED_STEPS / speed)
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (distance / margin) ** 2, 0, None))) * (np.abs(distance) <= margin)
    filters = np.sinc(cutoff * distance) * window
    return torch.from_numpy((filters / filters.sum(axis=0)).astype(np.float32))
