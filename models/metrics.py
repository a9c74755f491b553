"""The two scores of music separation: the challenge's whole-track SDR, and museval's SDR of one-second frames.

They are different numbers (a ratio of sums against a median of ratios) and never belong in one unlabelled column.
"""

import warnings

import numpy as np

CHALLENGE_DELTA = 1e-7
BLOCK_SAMPLES = 1 << 16


def _check_shapes(references: np.ndarray, estimates: np.ndarray, num_dims: str) -> None:
    if references.shape != estimates.shape:
        raise ValueError(f"expected an estimate shaped like its reference {references.shape}, got {estimates.shape}")
    if references.ndim < 2:
        raise ValueError(f"expected audio {num_dims}, got shape {references.shape}")


def _energies(references: np.ndarray, estimates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums over [C, T] of the squared reference and of the squared error, in float64, over a span held as a copy."""
    references = references.astype(np.float64)
    errors = references - estimates
    return np.einsum("...ct,...ct->...", references, references), np.einsum("...ct,...ct->...", errors, errors)


def global_sdr(reference: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """Signal-to-distortion ratio of a whole track in dB, both channels together.

    `10 log10((sum s^2 + 1e-7) / (sum (s - e)^2 + 1e-7))`: finite for any finite audio, silence included.

    Source: Music Demixing Challenge 2021 and the Sound Demixing Challenge 2023 (MDX).
    Differs: the sums are taken in float64; the challenge's are float32.

    Args:
        reference: true audio.
        estimate: estimated audio.

    Shape:
        - both: [..., C, T]
        - output: [...]; a zero-dimensional array for one stem.

    Raises:
        ValueError: the shapes differ.
    """
    reference, estimate = np.asarray(reference), np.asarray(estimate)
    _check_shapes(reference, estimate, "[..., C, T]")
    signal = np.zeros(reference.shape[:-2])
    error = np.zeros(reference.shape[:-2])
    for start in range(0, reference.shape[-1], BLOCK_SAMPLES):
        span = slice(start, start + BLOCK_SAMPLES)
        block_signal, block_error = _energies(reference[..., span], estimate[..., span])
        signal += block_signal
        error += block_error
    return np.asarray(10 * np.log10((signal + CHALLENGE_DELTA) / (error + CHALLENGE_DELTA)))


def frame_sdr(references: np.ndarray, estimates: np.ndarray, frame_samples: int) -> np.ndarray:
    """The SDR that museval (BSSEval v4) gives for each frame, for all stems of a track together.

    `10 log10(sum s^2 / sum (s - e)^2)` over frames that do not overlap. As in museval: samples after the last whole
    frame are left out; a track no longer than a frame is one frame; a frame in which any stem is silent, reference or
    estimate, is NaN for all stems (so the stems must be scored together); a perfect frame is infinite. Silent means
    that the channels sum to zero at every sample. A track with an all-zero stem has only NaN frames, where museval
    raises.

    Source: F.-R. Stöter, A. Liutkus, N. Ito, "The 2018 Signal Separation Evaluation Campaign"; museval 0.4.1.

    Args:
        references: true stems.
        estimates: estimated stems.
        frame_samples: samples in a frame; museval's is one second.

    Shape:
        - references, estimates: [S, C, T]
        - output: [S, number of frames]

    Raises:
        ValueError: the shapes differ or are not [S, C, T].
    """
    references, estimates = np.asarray(references), np.asarray(estimates)
    _check_shapes(references, estimates, "[S, C, T]")
    if references.ndim != 3:
        raise ValueError(f"expected audio [S, C, T], got shape {references.shape}")
    num_stems, _, num_samples = references.shape
    num_frames = max(1, num_samples // frame_samples)
    sdr = np.full((num_stems, num_frames), np.nan)
    for frame in range(num_frames):
        span = slice(frame * frame_samples, (frame + 1) * frame_samples)
        reference, estimate = references[..., span], estimates[..., span]
        if _any_silent(reference) or _any_silent(estimate):
            continue
        signal, error = _energies(reference, estimate)
        with np.errstate(divide="ignore"):
            sdr[:, frame] = 10 * np.log10(signal / error)
    return sdr


def _any_silent(stems: np.ndarray) -> bool:
    return bool(np.any(np.all(stems.sum(axis=1) == 0, axis=-1)))


def csdr(frames: np.ndarray) -> np.ndarray:
    """Median over the frames that are not NaN, in dB; NaN where all are.

    Args:
        frames: what `frame_sdr` returned.

    Shape:
        - frames: [S, number of frames]
        - output: [S]
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nanmedian(frames, axis=-1)
