"""BSSEval v4 "images", the metrics of museval, computed faster.

An estimate is split into the true stem, its spatial distortion, interference and artifacts by least squares on the true
stems delayed by 0 to 511 samples. museval builds and solves the 4096 x 4096 normal equations of four stereo stems again
for every estimate, and filters every frame in the time domain. Here the equations are built from blocked correlations,
factorised once for a track, and solved for all estimates together. Only energies are needed, so the frames are filtered
in the frequency domain, without an inverse transform (Parseval).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from benchmark.scoring.toeplitz import BlockToeplitz
from models.metrics import any_silent, frame_sdr

FILTER_TAPS = 512
METRICS = ("SDR", "ISR", "SIR", "SAR")
_BLOCK_FFT = 4096
_BLOCKS_AT_ONCE = 32
_FRAMES_AT_ONCE = 4


def bsseval(
    references: np.ndarray, estimates: np.ndarray, frame_samples: int, workers: int = 1
) -> dict[str, np.ndarray]:
    """SDR, ISR, SIR and SAR of each frame, equal to museval 0.4.1 for all stems of a track scored together.

    The distortion filters of the whole track are applied to frames that do not overlap. As in
    `models.metrics.frame_sdr`, a frame with a silent stem is NaN for all stems, and a perfect frame has an infinite
    SDR. A track with an all-zero stem has only NaN frames; museval raises an error. Ratios above about 120 dB (the
    error is zero) are rounding errors, in museval and here.

    Source: F.-R. Stöter, A. Liutkus, N. Ito, "The 2018 Signal Separation Evaluation Campaign"; museval 0.4.1.
    Differs: normal equations that are singular in floating point get a ridge, see `toeplitz.BlockToeplitz`; museval
        solves them unchanged.

    Args:
        references: true stems.
        estimates: estimated stems.
        frame_samples: samples in a frame; one second in museval.
        workers: threads.

    Shape:
        - references, estimates: [S, C, T]
        - output: {metric: [S, number of frames]}

    Raises:
        ValueError: the shapes differ or are not [S, C, T].
    """
    return BSSEval(references, workers).score(estimates, frame_samples)


class BSSEval:
    """Scores the estimates of several systems on one track, like `bsseval`, but factorises the true stems only once.

    Args:
        references: true stems [S, C, T]; kept by reference.
        workers: threads.
    """

    def __init__(self, references: np.ndarray, workers: int = 1) -> None:
        self._references = np.asarray(references)
        if self._references.ndim != 3:
            raise ValueError(f"expected audio [S, C, T], got shape {self._references.shape}")
        self._workers = workers
        self._equations: _NormalEquations | None = None

    def score(self, estimates: np.ndarray, frame_samples: int) -> dict[str, np.ndarray]:
        """SDR, ISR, SIR and SAR of each frame; see `bsseval`."""
        import scipy.linalg  # noqa: F401  (loads its own BLAS, so that the limit below includes it)
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, "blas"):  # the matrices are small: more threads would be slower
            return self._score(estimates, frame_samples)

    def _score(self, estimates: np.ndarray, frame_samples: int) -> dict[str, np.ndarray]:
        references, estimates = self._references, np.asarray(estimates)
        scores = {"SDR": frame_sdr(references, estimates, frame_samples)}
        scores |= {metric: np.full(scores["SDR"].shape, np.nan) for metric in METRICS[1:]}
        if any_silent(references) or any_silent(estimates):
            return {metric: np.full_like(values, np.nan) for metric, values in scores.items()}
        open_frames = np.flatnonzero(~np.isnan(scores["SDR"][0]))
        if not len(open_frames):
            return scores
        if self._equations is None:
            self._equations = _NormalEquations(references)
        filters = self._equations.solve(estimates)
        num_samples = min(frame_samples, references.shape[-1])
        response = _Response.of(filters, num_samples)
        chunks = [open_frames[start : start + _FRAMES_AT_ONCE] for start in range(0, len(open_frames), _FRAMES_AT_ONCE)]

        def score_chunk(chunk: np.ndarray) -> np.ndarray:
            frames = [slice(frame * frame_samples, frame * frame_samples + num_samples) for frame in chunk]
            reference = np.stack([references[..., frame] for frame in frames])
            estimate = np.stack([estimates[..., frame] for frame in frames])
            return response.ratios(reference, estimate)

        with ThreadPoolExecutor(self._workers) as pool:
            for chunk, ratios in zip(chunks, pool.map(score_chunk, chunks), strict=True):
                for metric, values in zip(METRICS[1:], ratios, strict=True):
                    scores[metric][:, chunk] = values
        return scores


@dataclass(frozen=True)
class _Filters:
    """Least-squares filters from true stems to estimates.

    Attributes:
        every: from all stems' channels to each estimate, [S, C out, S * C in, taps].
        own: from only the estimate's own stem, [S, C out, C in, taps].
    """

    every: np.ndarray
    own: np.ndarray


class _NormalEquations:
    """The factorised normal equations of all true stems together, and of each alone, in [taps, R, R] blocks."""

    def __init__(self, references: np.ndarray) -> None:
        self._references = references
        num_stems, channels, num_samples = references.shape
        self._inputs = references.reshape(num_stems * channels, num_samples)
        column = _correlations(self._inputs, self._inputs).transpose(2, 0, 1)
        column[0].flat[:: len(self._inputs) + 1] += np.finfo(float).eps  # as museval does
        spans = [slice(stem * channels, (stem + 1) * channels) for stem in range(num_stems)]
        self._own = [BlockToeplitz(np.ascontiguousarray(column[:, span, span])) for span in spans]
        self._every = BlockToeplitz(np.ascontiguousarray(column))

    def solve(self, estimates: np.ndarray) -> _Filters:
        num_stems, channels, _ = estimates.shape
        num_inputs = len(self._inputs)
        cross = _correlations(self._inputs, estimates.reshape(self._inputs.shape)).transpose(2, 0, 1)  # [taps, R, N]
        every = self._every.solve(cross.reshape(-1, num_inputs)).reshape(FILTER_TAPS, num_inputs, num_stems, channels)
        own = np.empty((num_stems, channels, channels, FILTER_TAPS))
        for stem, equations in enumerate(self._own):
            span = slice(stem * channels, (stem + 1) * channels)
            solved = equations.solve(cross[:, span, span].reshape(-1, channels))
            own[stem] = solved.reshape(FILTER_TAPS, channels, channels).transpose(2, 1, 0)
        return _Filters(every.transpose(2, 3, 1, 0), own)


def _correlations(delayed: np.ndarray, signals: np.ndarray) -> np.ndarray:
    """`sum_t delayed[a, t - lag] * signals[b, t]` for lags 0 to 511, in float64: [A, T] and [B, T] to [A, B, 512].

    Blocks of the signals are correlated and summed in the frequency domain, with one inverse transform at the end.
    Memory does not grow with T.
    """
    import scipy.fft

    num_samples = signals.shape[-1]
    past = FILTER_TAPS - 1
    block = _BLOCK_FFT - past
    bins = _BLOCK_FFT // 2 + 1
    total = np.zeros((bins, len(delayed), len(signals)), dtype=np.complex128)
    for start in range(0, num_samples, block * _BLOCKS_AT_ONCE):
        end = min(num_samples, start + block * _BLOCKS_AT_ONCE)
        count = -(-(end - start) // block)
        history = np.zeros((len(delayed), past + count * block))
        begin = max(0, start - past)
        history[:, past - (start - begin) : past + end - start] = delayed[:, begin:end]
        windows = np.lib.stride_tricks.sliding_window_view(history, _BLOCK_FFT, axis=-1)[:, ::block]  # [A, count, fft]
        present = np.zeros((len(signals), count * block))
        present[:, : end - start] = signals[:, start:end]
        padded = np.zeros((len(signals), count, _BLOCK_FFT))
        padded[..., past:] = present.reshape(len(signals), count, block)
        left = np.ascontiguousarray(scipy.fft.rfft(windows).transpose(2, 0, 1)).conj()  # [F, A, count]
        right = np.ascontiguousarray(scipy.fft.rfft(padded).transpose(2, 1, 0))  # [F, count, B]
        total += left @ right
    return scipy.fft.irfft(total.transpose(1, 2, 0), _BLOCK_FFT)[..., :FILTER_TAPS]


@dataclass(frozen=True)
class _Response:
    """The filters' frequency responses; computes ratios of energies of filtered frames.

    Attributes:
        every: [F, S * C out, S * C in].
        own: [S, C out, C in, F].
        fft: length of the transform.
    """

    every: np.ndarray
    own: np.ndarray
    fft: int

    @classmethod
    def of(cls, filters: _Filters, num_samples: int) -> "_Response":
        import scipy.fft

        fft = scipy.fft.next_fast_len(num_samples + FILTER_TAPS - 1, real=True)
        num_stems, channels, num_inputs, _ = filters.every.shape
        every = scipy.fft.rfft(filters.every, fft).reshape(num_stems * channels, num_inputs, -1)
        return cls(np.ascontiguousarray(every.transpose(2, 0, 1)), scipy.fft.rfft(filters.own, fft), fft)

    def ratios(self, references: np.ndarray, estimates: np.ndarray) -> np.ndarray:
        """ISR, SIR and SAR in dB of frames [frames, S, C, T]: [3, S, frames]."""
        import scipy.fft

        num_frames, num_stems, channels, _ = references.shape
        true = scipy.fft.rfft(references.astype(np.float64), self.fft)  # [frames, S, C, F]
        estimate = scipy.fft.rfft(estimates.astype(np.float64), self.fft)
        inputs = np.ascontiguousarray(true.reshape(num_frames, num_stems * channels, -1).transpose(2, 1, 0))
        spatial = np.zeros_like(true)  # projected on its own stem
        for channel in range(channels):
            spatial += self.own[:, :, channel] * true[:, :, channel, None]
        projected = spatial  # on all true stems
        if num_stems > 1:
            projected = (self.every @ inputs).transpose(2, 1, 0).reshape(true.shape)
        signal = self._energy(true)
        with np.errstate(divide="ignore", invalid="ignore"):
            isr = signal / self._energy(spatial - true)
            sir = self._energy(spatial) / self._energy(projected - spatial)
            sar = self._energy(projected) / self._energy(estimate - projected)
            return 10 * np.log10(np.stack((isr, sir, sar))).transpose(0, 2, 1)

    def _energy(self, spectra: np.ndarray) -> np.ndarray:
        """The energies [frames, S] of spectra [frames, S, C, F], by Parseval's theorem."""
        power = np.einsum("...f,...f->...", spectra.real, spectra.real)
        power += np.einsum("...f,...f->...", spectra.imag, spectra.imag)
        power *= 2
        power -= np.abs(spectra[..., 0]) ** 2
        if self.fft % 2 == 0:
            power -= np.abs(spectra[..., -1]) ** 2
        return power.sum(axis=-1) / self.fft
