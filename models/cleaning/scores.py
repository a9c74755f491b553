"""What a model hears in a stem that it separates alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.separation.separator import Separator
from models.tracks import Track

AUDIBLE = 1e-3
"""A stretch below this share of the stem's mean energy (-30 dB) says nothing about its label."""


@dataclass(frozen=True)
class StemScore:
    """Energies of one stem and of what a model makes of it, stretch by stretch.

    Attributes:
        track: name of the track.
        stem: the stem's name in the data.
        stems: the S stems of the model, in its order.
        energy: [stretches], of the stem, sums of squares.
        estimates: [stretches][S], of the model's estimate of each of its stems, the stem alone being the mixture.
    """

    track: str
    stem: str
    stems: tuple[str, ...]
    energy: tuple[float, ...]
    estimates: tuple[tuple[float, ...], ...]

    @property
    def is_silent(self) -> bool:
        """Whether the stem has no sound at all."""
        return not any(self.energy)

    def share(self, stem: str) -> float:
        """The share that a stem has in the energy of all estimates, over all stretches."""
        sums = np.sum(self.estimates, axis=0)
        return float(sums[self.stems.index(stem)] / sums.sum()) if sums.any() else 0.0

    def stretch_shares(self, stem: str) -> np.ndarray:
        """The same for each stretch, [stretches]; NaN where the stem can hardly be heard."""
        estimates = np.array(self.estimates)
        sums, energy = estimates.sum(axis=1), np.array(self.energy)
        shares = np.divide(estimates[:, self.stems.index(stem)], sums, out=np.zeros(len(sums)), where=sums > 0)
        return np.where(energy > AUDIBLE * energy.mean(), shares, np.nan)

    def calibrated(self, gains: Mapping[str, float]) -> "StemScore":
        """The same with each stem's estimates divided by its gain; 1 for stems without."""
        divisors = [gains.get(stem, 1.0) for stem in self.stems]
        rows = tuple(tuple(value / by for value, by in zip(row, divisors, strict=True)) for row in self.estimates)
        return replace(self, estimates=rows)

    @property
    def heard_as(self) -> str:
        """The stem that the model hears most of."""
        return self.stems[int(np.argmax(np.sum(self.estimates, axis=0)))]


def score_track(separator: Separator, track: Track, stretch_s: float) -> list[StemScore]:
    """Separate each stem of a track alone.

    Source: Goswami & Harada's mean teacher in Fabbro et al. 2023 (arXiv 2308.06979) separates each noisy stem alone
    to find what belongs where; here the energies are the verdict, not new targets.

    Args:
        separator: its stems are those that are scored.
        track: has them all.
        stretch_s: length of a stretch, seconds; what is left at the end belongs to the last one.

    Raises:
        ValueError: the track lacks a stem, or cannot be read.
    """
    size = max(1, round(stretch_s * track.sample_rate))
    scores = []
    for stem, audio in track.read_stems(separator.stems).items():
        starts = range(0, max(1, audio.shape[-1] - size + 1), size)
        energy = _energies(audio, starts)
        if audio.any():
            estimates = separator.separate(audio, track.sample_rate)
            heard = np.stack([_energies(estimate, starts) for estimate in estimates.values()], axis=1)
        else:
            heard = np.zeros((len(energy), len(separator.stems)))
        rows = tuple(tuple(map(float, row)) for row in heard)
        scores.append(StemScore(track.name, stem, tuple(separator.stems), tuple(map(float, energy)), rows))
    return scores


def _energies(audio: np.ndarray, starts: Sequence[int]) -> np.ndarray:
    """Sums of squares of [C, T] from each start to the next."""
    squares = np.square(audio, dtype=np.float64).sum(axis=0)
    return np.add.reduceat(squares, list(starts))
