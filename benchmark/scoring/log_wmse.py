"""log-WMSE: the log of the error's energy after a filter like human hearing, defined for silent stems too."""

from functools import lru_cache

import numpy as np

SAMPLE_RATE = 44100
SCALE = -4.0
EPSILON = 1e-8
INAUDIBLE = 10 ** (-68 / 20)
"""Smaller filtered errors count as 0, relative to a mixture of RMS 1."""
_FFT = 8192
_TAPS = 4000


class LogWMSE:
    """log-WMSE of the stems of one track.

    `-4 ln(mean of the squared filtered error + 1e-8)`, relative to the filtered mixture's RMS, mean over the channels.
    73.7 for a perfect estimate; about as large as an SDR in dB for a good one.

    Source: I. Jordal, `log-wmse-audio-quality` 0.2.0.

    Args:
        mixture: [C, T].
        sample_rate: in Hz; audio at other rates is resampled to 44.1 kHz.
    """

    def __init__(self, mixture: np.ndarray, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._levels = np.sqrt(np.mean(np.square(self._filtered(mixture), dtype=np.float64), axis=-1))

    def score(self, reference: np.ndarray, estimate: np.ndarray) -> float:
        """The score of a stem, both [C, T]."""
        errors = self._filtered(estimate - reference)
        values = []
        for error, level in zip(errors, self._levels, strict=True):
            if level == 0:  # a silent mixture: the package's value, whatever the estimate is
                values.append(np.log(EPSILON) * SCALE)
                continue
            relative = error / np.float32(level)
            relative[np.abs(relative) < INAUDIBLE] = 0
            values.append(np.log(np.mean(np.square(relative, dtype=np.float64)) + EPSILON) * SCALE)
        return float(np.mean(values))

    def _filtered(self, audio: np.ndarray) -> np.ndarray:
        from scipy.signal import oaconvolve

        if self._sample_rate != SAMPLE_RATE:
            import soxr

            audio = soxr.resample(audio.T, self._sample_rate, SAMPLE_RATE, quality="HQ").T
        return np.asarray(oaconvolve(audio.astype(np.float32), hearing_filter()[None], "same", axes=-1))


@lru_cache(maxsize=1)
def hearing_filter() -> np.ndarray:
    """The filter of the metric, [4000] taps at 44.1 kHz, symmetric.

    A high shelf (+5 dB at 1.5 kHz), a second-order high-pass (120 Hz), a peak (+2.5 dB at 500 Hz) and a first-order
    low-pass (10 kHz) applied twice. As in the package, the magnitudes are sampled up to just below half the sample rate
    and used as if they reached it.
    """
    from scipy.signal import butter, freqz

    half = _FFT // 2
    frequencies = np.pi * np.arange(half + 1) / (half + 1)

    def magnitude(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
        return np.abs(freqz(numerator, denominator, worN=frequencies)[1])

    response = (
        magnitude(*_high_shelf(1500.0, 5.0, 2**-0.5))
        * magnitude(*butter(2, 120.0, "highpass", fs=SAMPLE_RATE))
        * magnitude(*_peak(500.0, 2.5, 1.5 * 2**-0.5))
        * magnitude(*butter(1, 10_000.0, "lowpass", fs=SAMPLE_RATE)) ** 2
    )
    impulse = np.fft.fftshift(np.fft.irfft(response, _FFT))
    centre = half + 1
    return impulse[centre - _TAPS // 2 : centre + _TAPS // 2].astype(np.float32)


def _high_shelf(frequency_hz: float, gain_db: float, q: float) -> tuple[np.ndarray, np.ndarray]:
    """A high shelf. Source: R. Bristow-Johnson, "Audio EQ Cookbook"."""
    gain, cosine, alpha = _of_cookbook(frequency_hz, gain_db, q)
    root = 2 * np.sqrt(gain) * alpha
    plus, minus = gain + 1, gain - 1
    numerator = (plus + minus * cosine + root, -2 * (minus + plus * cosine), plus + minus * cosine - root)
    denominator = (plus - minus * cosine + root, 2 * (minus - plus * cosine), plus - minus * cosine - root)
    return gain * np.array(numerator), np.array(denominator)


def _peak(frequency_hz: float, gain_db: float, q: float) -> tuple[np.ndarray, np.ndarray]:
    """A peak. Source: as `_high_shelf`."""
    gain, cosine, alpha = _of_cookbook(frequency_hz, gain_db, q)
    numerator = (1 + alpha * gain, -2 * cosine, 1 - alpha * gain)
    denominator = (1 + alpha / gain, -2 * cosine, 1 - alpha / gain)
    return np.array(numerator), np.array(denominator)


def _of_cookbook(frequency_hz: float, gain_db: float, q: float) -> tuple[float, float, float]:
    angle = 2 * np.pi * frequency_hz / SAMPLE_RATE
    return 10 ** (gain_db / 40), float(np.cos(angle)), float(np.sin(angle) / (2 * q))
