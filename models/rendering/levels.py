"""Gives the stems of a rendered song equal lengths and suitable levels."""

from collections.abc import Mapping

import numpy as np

TARGET_DB = -16.0
"""Level of the mixture in dBFS, if the peaks allow it."""
PEAK = 0.99
"""Largest magnitude of a sample of the mixture or of a stem."""
LIFT_DB = -20.0
"""Lowest level of a stem, relative to the loudest stem; quieter stems are raised to it."""
INAUDIBLE_DB = -60.0
"""A stem that is quieter, relative to the loudest stem, is made silent: raising it would raise noise."""
LOWEST_HZ = 20.0
"""Lower frequencies hold no music, but a constant offset in the samples of some soundfonts."""
_SILENCE_DBFS = -100.0
_TRIM_DB = -70.0
_GATE_DB = -40.0
_BLOCK = 4410


def level_db(audio: np.ndarray) -> float:
    """Level of the audible parts: mean power, in dBFS, of the blocks of 0.1 s within 40 dB of the loudest block.

    Args:
        audio: [C, T].

    Returns:
        The level; minus infinity for digital silence.
    """
    padded = np.pad(audio, ((0, 0), (0, -audio.shape[-1] % _BLOCK)))
    power = np.square(padded.reshape(audio.shape[0], -1, _BLOCK), dtype=np.float32).mean(axis=(0, 2), dtype=np.float64)
    loudest = power.max(initial=0.0)
    if loudest == 0:
        return -np.inf
    return float(10 * np.log10(power[power >= loudest * 10 ** (_GATE_DB / 10)].mean()))


def remove_offset(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Remove frequencies below ``LOWEST_HZ`` with a Butterworth filter of second order; float32 [C, T]."""
    from scipy.signal import butter, sosfilt

    sections = butter(2, LOWEST_HZ, "highpass", fs=sample_rate, output="sos")
    return sosfilt(sections, audio, axis=-1).astype(np.float32)


def balance(rendered: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give a song's stems equal lengths and suitable levels.

    Shorter stems are padded at their end. Silence before and after the music is removed from all stems. A stem more
    than 20 dB below the loudest one is raised to 20 dB below; more than 60 dB below, it is made silent. One gain for
    all stems then brings their sum to ``TARGET_DB``, or as near as ``PEAK`` allows, so the song keeps its balance.

    Args:
        rendered: each float32 [C, T], of any lengths.

    Returns:
        The same stems, all of one shape.

    Raises:
        ValueError: all stems are silent.
    """
    length = max((audio.shape[-1] for audio in rendered.values()), default=0)
    stems = {name: np.pad(audio, ((0, 0), (0, length - audio.shape[-1]))) for name, audio in rendered.items()}
    levels = {name: level_db(audio) for name, audio in stems.items()}
    loudest = max(levels.values(), default=-np.inf)
    if loudest < _SILENCE_DBFS:
        raise ValueError("expected audible notes, got silence in all stems")
    for name, level in levels.items():
        if level < loudest + INAUDIBLE_DB:
            stems[name][:] = 0
        elif level < loudest + LIFT_DB:
            stems[name] *= np.float32(10 ** ((loudest + LIFT_DB - level) / 20))
    mixture = np.sum(list(stems.values()), axis=0)
    peak = max(float(np.abs(audio).max()) for audio in (mixture, *stems.values()))
    sounds = np.flatnonzero(np.abs(mixture).max(axis=0) > peak * 10 ** (_TRIM_DB / 20))
    gain = np.float32(min(10 ** ((TARGET_DB - level_db(mixture)) / 20), PEAK / peak))
    return {name: gain * audio[:, sounds[0] : sounds[-1] + 1] for name, audio in stems.items()}
