"""Loudness, and the gain and limiter that make music as loud as a loud release."""

import math

import numpy as np

CEILING = 10 ** (-1 / 20)
"""The limiter's largest sample: -1 dBFS."""
LOOK_AHEAD_S = 0.005
SETTLED_LU = 0.05
MOST_STEPS = 20


def loudness_lufs(audio: np.ndarray, sample_rate: int) -> float:
    """The integrated loudness of audio [C, T] of one or two channels, in LUFS; -infinity for silence.

    Source: ITU-R BS.1770-4: K-weighting, blocks of 400 ms that overlap by 75 %, gates at -70 LUFS and -10 LU.
    Differs: audio shorter than a block is one block.
    """
    from scipy.signal import lfilter

    weighted = audio.astype(np.float64)
    for numerator, denominator in _k_weighting(sample_rate):
        weighted = lfilter(numerator, denominator, weighted, axis=-1)
    power = np.square(weighted).sum(axis=0)
    block = min(round(0.4 * sample_rate), len(power))
    sums = np.concatenate(([0.0], np.cumsum(power)))
    starts = np.arange(0, len(power) - block + 1, max(1, block // 4))
    powers = (sums[starts + block] - sums[starts]) / block
    powers = powers[powers > 10 ** ((-70 + 0.691) / 10)]
    if not len(powers):
        return -math.inf
    powers = powers[powers > powers.mean() / 10]
    return float(-0.691 + 10 * np.log10(powers.mean()))


def _k_weighting(sample_rate: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The two filters of BS.1770 for any rate, from their analog frequencies, as (numerator, denominator)."""
    k, q = math.tan(math.pi * 1681.974450955533 / sample_rate), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    scale = 1 + k / q + k * k
    shelf = np.array([high + middle * k / q + k * k, 2 * (k * k - high), high - middle * k / q + k * k]) / scale
    shelf_poles = np.array([scale, 2 * (k * k - 1), 1 - k / q + k * k]) / scale
    k, q = math.tan(math.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    scale = 1 + k / q + k * k
    high_pass_poles = np.array([scale, 2 * (k * k - 1), 1 - k / q + k * k]) / scale
    return [(shelf, shelf_poles), (np.array([1.0, -2.0, 1.0]), high_pass_poles)]


def limited(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Audio [C, T] through a limiter that looks 5 ms ahead: no sample is above CEILING, and the gain moves smoothly."""
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    reach = 2 * round(LOOK_AHEAD_S * sample_rate) + 1
    peaks = np.abs(audio).max(axis=0)
    gain = np.minimum(1.0, CEILING / np.maximum(peaks, 1e-9))
    # The smallest gain within 5 ms, averaged over 5 ms around: never above the gain that a sample needs.
    return audio * uniform_filter1d(minimum_filter1d(gain, reach, mode="nearest"), reach, mode="nearest")


def made_loud(audio: np.ndarray, sample_rate: int, target_lufs: float) -> np.ndarray:
    """Audio with the gain at which the limiter's output has a loudness; unchanged if it is silent.

    If even a driven limiter does not reach the loudness, it is the loudest that a few steps have found.

    Shape:
        - audio, output: [C, T]
    """
    measured = loudness_lufs(audio, sample_rate)
    if not math.isfinite(measured):
        return audio
    gain_db = target_lufs - measured
    for _ in range(MOST_STEPS):
        loud = limited(10 ** (gain_db / 20) * audio, sample_rate)
        missing = target_lufs - loudness_lufs(loud, sample_rate)
        if abs(missing) < SETTLED_LU:
            break
        gain_db += missing
    return loud
