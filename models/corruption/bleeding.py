"""Bleeding: filtered, attenuated parts of a song's other stems in a stem."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LOW_PASS_HZ, HIGH_PASS_HZ = (500.0, 8000.0), (100.0, 1000.0)
"""Ranges of the cut-off frequencies, drawn evenly on a logarithmic scale."""
LONGEST_DELAY_S = 0.02
"""Sound on its way to a microphone that is 7 m off."""


@dataclass(frozen=True)
class Leak:
    """What reaches a stem of one other stem.

    Attributes:
        stem: the other stem.
        filter: "lowpass" or "highpass", of second order.
        cutoff_hz: of the filter.
        delay_s: seconds.
    """

    stem: str
    filter: str
    cutoff_hz: float
    delay_s: float

    def __str__(self) -> str:
        return f"{self.stem} ({self.filter} {self.cutoff_hz:.0f} Hz, {1000 * self.delay_s:.1f} ms)"

    def through(self, audio: np.ndarray, sample_rate: int) -> np.ndarray:
        """The other stem [C, T] as it arrives, before it is attenuated."""
        from scipy.signal import butter, sosfilt

        cutoff_hz = min(self.cutoff_hz, 0.45 * sample_rate)
        sections = butter(2, cutoff_hz, self.filter, fs=sample_rate, output="sos")
        delay = min(round(self.delay_s * sample_rate), audio.shape[-1])
        delayed = np.pad(audio, ((0, 0), (delay, 0)))[:, : audio.shape[-1]]
        return sosfilt(sections, delayed).astype(np.float32)


def draw_leaks(
    generator: np.random.Generator, stems: Sequence[str], sounding: Sequence[str], share: float
) -> dict[str, tuple[Leak, ...]]:
    """Draw which stems of a song bleed, and what reaches them: each of the others with probability 1/2, at least one.

    Source: Fabbro et al. 2023 (arXiv 2308.06979), the section on robust music source separation that introduces
    SDXDB23_Bleeding: parts of the song's other instruments in a stem, the mixture as it was.
    Differs: filters, delays and levels are ours.

    Args:
        generator: of the song.
        stems: all stems.
        sounding: those that are not silent, which alone can be heard in others.
        share: probability that a stem bleeds.

    Returns:
        For each stem its leaks, none where it stays clean.
    """
    leaks: dict[str, tuple[Leak, ...]] = {}
    for stem in stems:
        bleeds = generator.random() < share
        others = [other for other in sounding if other != stem]
        chosen = [other for other in others if generator.random() < 0.5]
        if not chosen and others:
            chosen = [str(generator.choice(others))]
        drawn = []
        for other in chosen:
            kind = ("lowpass", "highpass")[generator.integers(2)]
            low, high = LOW_PASS_HZ if kind == "lowpass" else HIGH_PASS_HZ
            cutoff_hz = float(np.exp(generator.uniform(np.log(low), np.log(high))))
            drawn.append(Leak(other, kind, cutoff_hz, float(generator.uniform(0, LONGEST_DELAY_S))))
        leaks[stem] = tuple(drawn) if bleeds else ()
    return leaks


def bleed(
    audio: Mapping[str, np.ndarray], stem: str, leaks: Sequence[Leak], level_db: float, sample_rate: int
) -> np.ndarray:
    """A stem [C, T] with its leaks.

    Args:
        audio: {stem: [C, T]} of the song.
        stem: which one.
        leaks: what reaches it, at equal energies.
        level_db: energy of all leaks together, relative to the stem's own; in a silent stem, to what leaks.
        sample_rate: Hz.
    """
    own = audio[stem]
    arrived = [leak.through(audio[leak.stem], sample_rate) for leak in leaks]
    parts = [part / np.sqrt(energy) for part in arrived if (energy := _energy(part)) > 0]
    leaked = np.sum(parts, axis=0) if parts else np.zeros_like(own)
    if not leaked.any():
        return own
    reference = _energy(own) or max(_energy(audio[leak.stem]) for leak in leaks)
    gain = np.sqrt(reference * 10 ** (level_db / 10) / _energy(leaked))
    return (own + gain * leaked).astype(np.float32)


def _energy(audio: np.ndarray) -> float:
    """Sum of squares."""
    return float(np.sum(np.square(audio, dtype=np.float64)))
