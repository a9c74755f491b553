"""A sung line: each note takes a syllable, whose pitch follows the melody and whose vowel lasts as long as the note."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.singing.melody import Note
from models.singing.voice import FRAME_MS, SAMPLE_RATE, Syllable, Voice

_SHORTEST = 8  # frames of a note; shorter ones are left out
_JOIN = 8  # frames over which the spectrum goes from one note to the next
_RELEASE = 10  # frames in which the last note before a pause fades
_PAUSE_S = 0.08
_FLOOR = 1e-12


@dataclass(frozen=True)
class _Frames:
    """What WORLD makes sound of: fundamental frequency [L] in Hz, spectrum and aperiodicity [L, F]."""

    f0: np.ndarray
    spectrum: np.ndarray
    aperiodicity: np.ndarray


def sing(
    notes: Sequence[Note], voice: Voice, seconds: float, formant: float, generator: np.random.Generator
) -> np.ndarray:
    """Sing a melody, with glides between notes, vibrato on long ones and small errors of pitch and level.

    Args:
        notes: by their begin, one at a time.
        voice: each note takes one of its syllables at random.
        seconds: the line's length.
        formant: factor on the frequencies of the spectral envelope; above 1 is a smaller singer.
        generator: of everything that is drawn.

    Returns:
        float64 [T] at ``SAMPLE_RATE``.
    """
    import pyworld

    length, bins = round(seconds * 1000 / FRAME_MS), voice.syllables[0].spectrum.shape[1]
    frames = _Frames(np.zeros(length), np.full((length, bins), _FLOOR, np.float32), np.ones((length, bins), np.float32))
    previous: int | None = None
    for index, note in enumerate(notes):
        syllable = voice.syllables[generator.integers(len(voice.syllables))]
        end_s = note.start_s + note.duration_s
        pauses = index + 1 == len(notes) or notes[index + 1].start_s - end_s > _PAUSE_S
        start = max(0, int((note.start_s - syllable.lead_s) * 1000 / FRAME_MS))
        stop = min(length, int(end_s * 1000 / FRAME_MS) + (_RELEASE if pauses else 0))
        if stop - start >= _SHORTEST:
            _sing_note(frames, slice(start, stop), note.pitch, previous, pauses, syllable, formant, generator)
            previous = None if pauses else note.pitch
    return pyworld.synthesize(
        frames.f0,
        frames.spectrum.astype(np.float64) + _FLOOR,
        frames.aperiodicity.astype(np.float64).clip(0.001, 1),
        SAMPLE_RATE,
        FRAME_MS,
    )


def _sing_note(
    frames: _Frames,
    part: slice,
    pitch: int,
    previous: int | None,
    pauses: bool,
    syllable: Syllable,
    formant: float,
    generator: np.random.Generator,
) -> None:
    """Write one note into some of the frames; ``previous`` is the note that it follows without a pause."""
    length = part.stop - part.start
    order = _stretched(syllable, length)
    f0 = _pitch_curve(length, pitch, previous, syllable.lead_s, generator)
    gain = _envelope(length, pauses) * 10 ** (generator.uniform(-3, 1) / 20)
    spectrum = _warped(syllable.spectrum[order], formant) * gain[:, None] ** 2
    if previous is not None:
        join = min(_JOIN, length)
        weight = np.linspace(0, 1, join)[:, None]
        before = frames.spectrum[part.start : part.start + join]
        spectrum[:join] = (before + _FLOOR) ** (1 - weight) * (spectrum[:join] + _FLOOR) ** weight
    frames.f0[part] = f0 * syllable.voiced[order]
    frames.spectrum[part] = spectrum
    frames.aperiodicity[part] = syllable.aperiodicity[order]


def _stretched(syllable: Syllable, length: int) -> np.ndarray:
    """Which frames of a syllable make a note: all up to the vowel, then the vowel, back and forth if too short."""
    vowel = len(syllable.voiced) - syllable.fixed
    after = np.arange(max(0, length - syllable.fixed)) % (2 * vowel)
    after = np.minimum(after, 2 * vowel - 1 - after)
    return np.concatenate([np.arange(min(length, syllable.fixed)), syllable.fixed + after])


def _pitch_curve(
    length: int, pitch: int, previous: int | None, lead_s: float, generator: np.random.Generator
) -> np.ndarray:
    """Fundamental frequency of a note in Hz [length]: a glide from the note before, vibrato, and a slow random walk."""
    times_s = np.arange(length) * FRAME_MS / 1000
    curve = np.full(length, float(pitch))
    if previous is not None:
        curve += (previous - pitch) * np.exp(-np.maximum(times_s - lead_s / 2, 0) / generator.uniform(0.02, 0.06))
    depth, rate_hz = generator.uniform(0.1, 0.5), generator.uniform(4.8, 6.2)
    curve += depth * np.sin(2 * np.pi * rate_hz * times_s) * ((times_s - 0.25) / 0.3).clip(0, 1)
    curve += 0.08 * np.cumsum(generator.standard_normal(length)) / np.sqrt(40)
    return 440 * 2 ** ((curve - 69) / 12)


def _envelope(length: int, pauses: bool) -> np.ndarray:
    envelope = np.ones(length)
    attack = min(8, length // 3)
    envelope[:attack] = np.linspace(0.05, 1, attack)
    if pauses:
        release = min(_RELEASE, length)
        envelope[-release:] *= np.linspace(1, 0, release) ** 2
    return envelope


def _warped(spectrum: np.ndarray, formant: float) -> np.ndarray:
    """Envelopes [L, F] with their frequencies times a factor."""
    bins = spectrum.shape[1]
    place = (np.arange(bins) / formant).clip(0, bins - 1)
    lower = place.astype(int)
    share = (place - lower).astype(np.float32)
    return spectrum[:, lower] * (1 - share) + spectrum[:, np.minimum(lower + 1, bins - 1)] * share
