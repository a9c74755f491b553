"""SI-SAR: what is left of an estimate that no gains of the true stems explain."""

import numpy as np

BLOCK_SAMPLES = 1 << 16


def si_sar(references: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    """Scale-invariant source-to-artifacts ratio of whole tracks in dB, both channels together with one gain.

    `10 log10(|a s|^2 / |e - p|^2)`: s is the true stem, a its best gain, and p the projection of the estimate e on all
    true stems, each with one gain. NaN if the true stem is silent, minus infinity if the estimate has nothing of it,
    infinite if the estimate is a sum of scaled true stems.

    Source: J. Le Roux et al., "SDR - half-baked or well done?", 2019; recommended for drums and bass by N. Jaffe and
        J. A. Burgoyne, "Musical Source Separation Bake-Off", 2025 (arXiv 2507.06917).
    Differs: both channels share one gain, as in `models.metrics.si_sdr`; the mean is not removed.

    Shape:
        - references, estimates: [S, C, T], the stems that are scored together
        - output: [S]
    """
    num_stems = len(references)
    products = np.zeros((2 * num_stems, 2 * num_stems))
    for start in range(0, references.shape[-1], BLOCK_SAMPLES):
        span = slice(start, start + BLOCK_SAMPLES)
        both = np.concatenate((references[..., span], estimates[..., span])).astype(np.float64)
        both = both.reshape(2 * num_stems, -1)
        products += both @ both.T
    among, cross = products[:num_stems, :num_stems], products[:num_stems, num_stems:]
    own, overlap = np.diag(among), np.diag(cross)
    gains = np.linalg.lstsq(among, cross, rcond=1e-12)[0]  # a silent stem makes the equations singular
    artifacts = np.maximum(np.diag(products)[num_stems:] - np.einsum("ij,ij->j", gains, cross), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 10 * np.log10(overlap**2 / own / artifacts)
    return np.where(own == 0, np.nan, np.where(overlap == 0, -np.inf, ratio))
