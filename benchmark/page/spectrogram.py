"""Small spectrograms: time to the right, frequency upwards on a logarithmic axis, loud parts dark."""

import io

import numpy as np

LOW_HZ, HIGH_HZ = 40.0, 16_000.0
HEIGHT = 96
PIXELS_PER_S, MAX_WIDTH = 60, 480
N_FFT_S = 0.08
RANGE_DB = 75.0


def level_db(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """The level of each pixel in dB.

    Args:
        audio: at any rate.
        sample_rate: Hz.

    Shape:
        - audio: [C, T]
        - output: [HEIGHT, W], the highest frequency first; W grows with the length up to MAX_WIDTH
    """
    n_fft = max(16, 2 * round(N_FFT_S * sample_rate / 2))
    num_samples = audio.shape[-1]
    width = int(np.clip(num_samples / sample_rate * PIXELS_PER_S, 16, MAX_WIDTH))
    padded = np.pad(audio.mean(axis=0), n_fft // 2)
    centres = (np.arange(width) * num_samples / width).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[np.minimum(centres, len(padded) - n_fft)]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(n_fft), axis=-1)))  # [W, F]
    edges = LOW_HZ * (HIGH_HZ / LOW_HZ) ** (np.arange(HEIGHT + 1) / HEIGHT) * n_fft / sample_rate
    rows = np.zeros((HEIGHT, width))
    for row, (low, high) in enumerate(zip(edges, edges[1:], strict=False)):
        if low < power.shape[1]:
            first = min(round(low), power.shape[1] - 1)
            rows[row] = power[:, first : max(first + 1, round(high))].max(axis=-1)
    return 10 * np.log10(rows[::-1] + 1e-12)


def picture(level: np.ndarray, top_db: float) -> bytes:
    """A level [HEIGHT, W] as a grey WebP picture, black at `top_db` and white RANGE_DB below it."""
    from PIL import Image

    share = np.clip((level - top_db + RANGE_DB) / RANGE_DB, 0, 1)
    file = io.BytesIO()
    Image.fromarray(np.uint8(255 - np.round(255 * share))).save(file, "WEBP", quality=50, method=4)
    return file.getvalue()
