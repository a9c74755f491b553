"""The energy of an estimate where the true stem is silent, which no ratio of energies measures."""

import numpy as np

SILENT_POWER = 1e-6
"""A frame whose samples have at most this mean square (-60 dBFS) is silent: lossy files have no exact zeros."""
LEAST_ENERGY = 1e-12


def energy_at_silence(reference: np.ndarray, estimate: np.ndarray, sample_rate: int) -> float:
    """Mean over the silent frames of one second of `10 log10(sum of the squared estimate + 1e-12)`, in dB.

    Frames do not overlap; samples after the last whole frame are left out. NaN if no frame of the stem is silent.

    Source: K. Schulze-Forster et al., "Weakly Informed Audio Source Separation", 2019 (predicted energy at silence).
    Differs: the energy is of all channels, and silent means below -60 dBFS, there exactly zero.

    Shape:
        - reference, estimate: [C, T]
    """
    energies = []
    for frame in range(reference.shape[-1] // sample_rate):
        span = slice(frame * sample_rate, (frame + 1) * sample_rate)
        if np.mean(np.square(reference[:, span], dtype=np.float64)) <= SILENT_POWER:
            energies.append(10 * np.log10(np.square(estimate[:, span], dtype=np.float64).sum() + LEAST_ENERGY))
    return float(np.mean(energies)) if energies else float("nan")
