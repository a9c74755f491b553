"""What a studio adds to a voice: a second take or another part, tone, and a room."""

from collections.abc import Callable

import numpy as np

from models.singing.voice import SAMPLE_RATE

DOUBLED, IN_PARTS = 0.25, 0.2
"""Shares of the lines with a second take of the same notes, and with a second part."""
INTERVALS = (-5, -4, -3, 3, 4, 7)
"""Semitones from the melody to the second part."""
_PEAK = 0.7


def arrange(sing: Callable[[int, float], np.ndarray], generator: np.random.Generator) -> np.ndarray:
    """A line in stereo, some of them with two voices.

    Args:
        sing: gives the line [T], so many semitones higher and with formants at so many times their frequency.
        generator: of what is drawn.

    Returns:
        [2, T].
    """
    lead, kind = sing(0, 1.0), generator.random()
    if kind < DOUBLED:
        second = sing(0, generator.uniform(0.97, 1.03))
        left, right = 1.0, generator.uniform(0.2, 0.8)
        return np.stack([left * lead + right * second, right * lead + left * second])
    if kind < DOUBLED + IN_PARTS:
        second = sing(int(generator.choice(INTERVALS)), 1.0)
        left, right = generator.uniform(0.3, 0.8, 2)
        return np.stack([lead + left * second, lead + right * second])
    return np.stack([lead, lead])


def produce(audio: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Add tone and a room, and bring the peak to 0.7; float32 [C, T].

    Raises:
        ValueError: silence.
    """
    audio = _room(_tone(audio, generator), generator)
    peak = np.abs(audio).max()
    if not peak > 1e-6:
        raise ValueError("expected a sung line, got silence")
    return (audio * (_PEAK / peak)).astype(np.float32)


def _tone(audio: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A smooth frequency curve within +-4 dB, drawn at six frequencies."""
    gains_db = generator.uniform(-4, 4, 6)
    frequencies = np.fft.rfftfreq(audio.shape[-1], 1 / SAMPLE_RATE)
    curve_db = np.interp(np.log(frequencies.clip(20)), np.log(np.geomspace(50, 16000, 6)), gains_db)
    return np.fft.irfft(np.fft.rfft(audio) * 10 ** (curve_db / 20), audio.shape[-1])


def _room(audio: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Noise that decays by 60 dB within 0.2 to 1.2 s, in another way for each channel, as the room's response."""
    from scipy.signal import butter, fftconvolve, sosfilt

    decay_s, wet = generator.uniform(0.2, 1.2), generator.uniform(0, 0.35)
    length = int(SAMPLE_RATE * decay_s)
    response = generator.standard_normal((audio.shape[0], length)) * 10 ** (-3 * np.arange(length) / length)
    band_hz = [generator.uniform(150, 400), generator.uniform(3000, 9000)]
    response = sosfilt(butter(1, band_hz, "bandpass", fs=SAMPLE_RATE, output="sos"), response)
    response /= np.sqrt((response**2).sum(axis=-1, keepdims=True))
    delay = int(SAMPLE_RATE * generator.uniform(0.005, 0.03))
    echo = fftconvolve(audio, response, axes=-1)[:, : audio.shape[-1]]
    return audio + wet * np.pad(echo, ((0, 0), (delay, 0)))[:, : audio.shape[-1]]
