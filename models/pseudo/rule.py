"""What a teacher's estimate says of a segment: the stem is absent, it plays alone, or it is mixed with others.

Source: Luo & Yu 2022 (arXiv 2209.15174), the semi-supervised fine-tuning: an energy gap of 30 dB between mixture and
target makes the mixture a clean residual, one between mixture and residual a clean target; else both are pseudo-labels.
"""

import math

import numpy as np

GAP_DB = 30.0
ABSENT, ALONE, MIXED = "absent", "alone", "mixed"
LABELS = (MIXED, ABSENT, ALONE)
"""Target and residual are what the teacher says; the mixture is the residual; the mixture is the target."""


def label_of(mixture: np.ndarray, target: np.ndarray) -> str:
    """One of ``LABELS``, for a stem in a segment.

    No segment is both absent and alone: of two parts that sum to the mixture, one has a quarter of its energy at least.

    Args:
        mixture: [C, T].
        target: the teacher's estimate of the stem, [C, T].
    """
    energy = _energy(mixture)
    if _gap_db(energy, _energy(target)) > GAP_DB:
        return ABSENT
    return ALONE if _gap_db(energy, _energy(mixture - target)) > GAP_DB else MIXED


def _energy(audio: np.ndarray) -> float:
    return float(np.square(audio, dtype=np.float64).sum())


def _gap_db(energy: float, of_part: float) -> float:
    """How far a part is below the mixture, dB; infinite for a silent part."""
    if not of_part:
        return math.inf
    return 10 * math.log10(energy / of_part) if energy else -math.inf
