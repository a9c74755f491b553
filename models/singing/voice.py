"""A voice: analysed syllables of a voice bank, whose pitch and length can be set freely."""

from dataclasses import dataclass

import numpy as np

from models.singing.voice_bank import Entry, VoiceBank

SAMPLE_RATE = 44100
FRAME_MS = 5.0
_LOWEST_HZ, _HIGHEST_HZ = 80.0, 900.0
_CONSONANT_MS = 70.0  # of what precedes a vowel, the most that is kept
_SHORTEST_FIXED, _SHORTEST_VOWEL = 2, 8  # frames
_VOICED_SHARE = 0.9


@dataclass(frozen=True)
class Syllable:
    """One syllable in L frames of ``FRAME_MS``, F bins.

    Attributes:
        lead_s: from its first frame to the vowel's begin.
        fixed: frames at its begin that are not stretched.
        voiced: bool [L].
        spectrum: power of the spectral envelope, float32 [L, F].
        aperiodicity: the share of noise, 0 to 1, float32 [L, F].
    """

    lead_s: float
    fixed: int
    voiced: np.ndarray
    spectrum: np.ndarray
    aperiodicity: np.ndarray


@dataclass(frozen=True)
class Voice:
    """Attributes: syllables; pitch, the median of the recordings, as a MIDI note (60.0 is middle C)."""

    syllables: tuple[Syllable, ...]
    pitch: float


def analyse(bank: VoiceBank, recordings: int, generator: np.random.Generator) -> Voice:
    """Analyse some of a bank's recordings with WORLD, drawn at random.

    Args:
        bank: the bank.
        recordings: how many; each takes 1.6 MB of memory for a second.
        generator: draws them.

    Raises:
        ValueError: a recording cannot be read, or none of them has a usable syllable.

    Source: WORLD (Morise, Yokomori and Ozawa 2016), by the package pyworld.
    """
    import pyworld

    syllables, pitches = [], []
    names = sorted(bank.recordings)
    for name in (names[index] for index in generator.permutation(len(names))[:recordings]):
        samples = _read(bank, name)
        if not samples.any():
            continue
        f0, times = pyworld.dio(samples, SAMPLE_RATE, _LOWEST_HZ, _HIGHEST_HZ, frame_period=FRAME_MS)
        f0 = pyworld.stonemask(samples, f0, times, SAMPLE_RATE)
        spectrum = pyworld.cheaptrick(samples, f0, times, SAMPLE_RATE).astype(np.float32)
        aperiodicity = pyworld.d4c(samples, f0, times, SAMPLE_RATE).astype(np.float32)
        pitches.append(f0[f0 > 0])
        for entry in bank.recordings[name]:
            begin, fixed, end, lead_s = _frames(entry, samples.size, len(f0))
            vowel = f0[begin + fixed : end] > 0
            if fixed >= _SHORTEST_FIXED and vowel.size >= _SHORTEST_VOWEL and vowel.mean() >= _VOICED_SHARE:
                part = slice(begin, end)
                syllables.append(Syllable(lead_s, fixed, f0[part] > 0, spectrum[part], aperiodicity[part]))
    if not syllables:
        raise ValueError(f"{bank.folder}: none of {min(recordings, len(names))} recordings has a usable syllable")
    return Voice(tuple(syllables), float(69 + 12 * np.log2(np.median(np.concatenate(pitches)) / 440)))


def _read(bank: VoiceBank, name: str) -> np.ndarray:
    """A recording in mono at ``SAMPLE_RATE`` with a peak of 0.7, float64 [T]."""
    from models.audio.reader import read_audio
    from models.signal.resampling import resample

    waveform, rate = read_audio(bank.folder / name)
    samples = resample(waveform.numpy().mean(axis=0).astype(np.float64), rate, SAMPLE_RATE)
    return np.ascontiguousarray(samples * 0.7 / max(np.abs(samples).max(), 1e-9), dtype=np.float64)


def _frames(entry: Entry, samples: int, frames: int) -> tuple[int, int, int, float]:
    """First frame of a syllable, how many are fixed, the frame after its last, and the vowel's begin in seconds."""
    vowel_ms = entry.offset_ms + entry.preutterance_ms
    begin_ms = entry.offset_ms + max(0.0, entry.preutterance_ms - _CONSONANT_MS)
    fixed_ms = max(entry.offset_ms + entry.fixed_ms, vowel_ms + 30)
    if entry.cutoff_ms < 0:
        end_ms = entry.offset_ms - entry.cutoff_ms
    else:
        end_ms = samples / SAMPLE_RATE * 1000 - entry.cutoff_ms
    begin, fixed, end = (min(frames, max(0, int(ms / FRAME_MS))) for ms in (begin_ms, fixed_ms, end_ms))
    return begin, fixed - begin, max(begin, end), (vowel_ms - begin_ms) / 1000
