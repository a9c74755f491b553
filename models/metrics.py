"""The scores of music separation: the challenge's whole-track SDR, museval's SDR of one-second frames, and SI-SDR.

They are different quantities: a ratio of sums, a median of ratios, a ratio after the best gain. Never compare one with
another.
"""

import warnings
from collections.abc import Iterator

import numpy as np

CHALLENGE_DELTA = 1e-7
BLOCK_SAMPLES = 1 << 16


def _check_shapes(references: np.ndarray, estimates: np.ndarray, num_dims: str) -> None:
    if references.shape != estimates.shape:
        raise ValueError(f"expected an estimate shaped like its reference {references.shape}, got {estimates.shape}")
    if references.ndim < 2:
        raise ValueError(f"expected audio {num_dims}, got shape {references.shape}")


def _blocks(num_samples: int) -> Iterator[slice]:
    """Spans of ``BLOCK_SAMPLES``: their float64 copies need little memory."""
    return (slice(start, start + BLOCK_SAMPLES) for start in range(0, num_samples, BLOCK_SAMPLES))


def _energies(references: np.ndarray, estimates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums over [C, T] of the squared reference and of the squared error, in float64 (copies the span)."""
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
    for span in _blocks(reference.shape[-1]):
        block_signal, block_error = _energies(reference[..., span], estimate[..., span])
        signal += block_signal
        error += block_error
    return np.asarray(10 * np.log10((signal + CHALLENGE_DELTA) / (error + CHALLENGE_DELTA)))


def si_sdr(reference: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """Scale-invariant SDR of a whole track in dB, both channels together with one gain.

    `10 log10(sum (a s)^2 / sum (a s - e)^2)` with the best gain `a = sum s e / sum s^2`. NaN if the reference is
    silent, minus infinity if only the estimate is silent, infinite if the estimate is a scaled reference.

    Source: J. Le Roux et al., "SDR - half-baked or well done?", 2019.

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
    energy, overlap, error = (np.zeros(reference.shape[:-2]) for _ in range(3))
    for span in _blocks(reference.shape[-1]):
        true = reference[..., span].astype(np.float64)
        energy += np.einsum("...ct,...ct->...", true, true)
        overlap += np.einsum("...ct,...ct->...", true, estimate[..., span])
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.asarray(overlap / energy)[..., None, None]
        for span in _blocks(reference.shape[-1]):
            error += _energies(gain * reference[..., span], estimate[..., span])[1]
        return np.asarray(np.where(gain[..., 0, 0] == 0, -np.inf, 10 * np.log10(overlap**2 / energy / error)))


def frame_sdr(references: np.ndarray, estimates: np.ndarray, frame_samples: int) -> np.ndarray:
    """The SDR of museval (BSSEval v4) for each frame, for all stems of a track together.

    `10 log10(sum s^2 / sum (s - e)^2)` over frames that do not overlap. As in museval:

    - samples after the last whole frame are left out; a track no longer than a frame is one frame;
    - a frame in which the reference or the estimate of any stem is silent is NaN for all stems, so all stems of a track
      must be scored together;
    - silent means that the channels sum to zero at every sample;
    - a perfect frame is infinite.

    Differs: a track with an all-zero stem has NaN in all frames; museval raises an error.

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
        if any_silent(reference) or any_silent(estimate):
            continue
        signal, error = _energies(reference, estimate)
        with np.errstate(divide="ignore"):
            sdr[:, frame] = 10 * np.log10(signal / error)
    return sdr


def any_silent(stems: np.ndarray) -> bool:
    """Whether any of the stems [S, C, T] is silent as museval defines it: its channels sum to zero at every sample."""
    return any(not any(stem[:, span].sum(axis=0).any() for span in _blocks(stem.shape[-1])) for stem in stems)


def csdr(frames: np.ndarray) -> np.ndarray:
    """Median over the frames that are not NaN, in dB; NaN if all frames are NaN.

    Args:
        frames: the result of `frame_sdr`.

    Shape:
        - frames: [S, number of frames]
        - output: [S]
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nanmedian(frames, axis=-1)
