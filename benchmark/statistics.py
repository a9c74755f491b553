"""How sure the figures of a table are: intervals of means and medians over tracks, and differences between systems.

The tracks are the sample. What is drawn again is drawn from them, the same draws for every system and stem.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

LEVEL = 0.95
RESAMPLES = 5000
SEED = 0
MIN_TRACKS = 6
"""With fewer no difference can be significant: the signed-rank test of 5 tracks ends at p = 1/16."""

Interval = tuple[float, float]
NO_INTERVAL = (math.nan, math.nan)


def aggregate(values: np.ndarray, how: str) -> np.ndarray:
    """The mean or median over tracks of the scores that are not NaN; NaN where all are.

    Args:
        values: scores.
        how: "mean" or "median".

    Shape:
        - values: [..., N tracks]
        - output: [...]
    """
    missing = np.isnan(values)
    with np.errstate(invalid="ignore"):  # infinite scores of both signs have no mean
        if not missing.any():
            return np.asarray(np.mean(values, axis=-1) if how == "mean" else np.median(values, axis=-1))
        unknown = missing.all(axis=-1)
        some = np.where(unknown[..., None], 0, values)
        result = np.nanmean(some, axis=-1) if how == "mean" else np.nanmedian(some, axis=-1)
    return np.where(unknown, np.nan, result)


def bootstrap_intervals(
    scores: np.ndarray, how: str, resamples: int = RESAMPLES, averaged: Sequence[int] | None = None
) -> list[Interval]:
    """95 % intervals of each stem's mean or median over tracks; then that of the mean of these over stems.

    Percentile intervals of the bootstrap, widened for small samples as Student's t is beside the normal distribution.

    Source: T. Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69, 2015 (expanded
        percentile interval).

    Args:
        scores: of one system.
        how: "mean" or "median".
        resamples: how often the tracks are drawn.
        averaged: the stems, by index, that the last interval is of; all by default.

    Shape:
        - scores: [S, N tracks]

    Returns:
        S + 1 intervals; (NaN, NaN) of fewer than MIN_TRACKS known scores.
    """
    scores = np.asarray(scores, dtype=np.float64)
    num_stems, num_tracks = scores.shape
    if num_tracks < MIN_TRACKS:
        return [NO_INTERVAL] * (num_stems + 1)
    rows = list(range(num_stems) if averaged is None else averaged)
    draws = _draws(num_tracks, resamples)
    replicates = np.stack([aggregate(stem[draws], how) for stem in scores])  # [S, resamples]
    with np.errstate(invalid="ignore"):
        mean = replicates[rows].mean(axis=0, keepdims=True)
    replicates = np.concatenate((replicates, mean))
    enough = (~np.isnan(scores)).sum(axis=1) >= MIN_TRACKS
    return [
        _quantiles(values, num_tracks) if usable else NO_INTERVAL
        for values, usable in zip(replicates, [*enough, enough[rows].all()], strict=True)
    ]


@lru_cache(maxsize=4)
def _draws(num_tracks: int, resamples: int) -> np.ndarray:
    return np.random.default_rng(SEED).integers(num_tracks, size=(resamples, num_tracks))


def _quantiles(replicates: np.ndarray, num_tracks: int) -> Interval:
    """The quantiles of the replicates between which the interval lies, of those that are not NaN."""
    from scipy.stats import norm, t

    known = replicates[~np.isnan(replicates)]
    if not len(known):
        return NO_INTERVAL
    tail = norm.cdf(t.ppf((1 - LEVEL) / 2, num_tracks - 1) * math.sqrt(num_tracks / (num_tracks - 1)))
    low, high = np.quantile(known, [tail, 1 - tail], method="nearest")  # nearest: infinite scores stay themselves
    return float(low), float(high)


@dataclass(frozen=True)
class Comparison:
    """The difference between two systems on the same tracks.

    Attributes:
        metric: which score.
        stem: of which stem, or "mean" of the stems.
        first, second: the systems.
        num_tracks: how many tracks both have a finite score of.
        difference: mean or median of the tracks' differences, first minus second, in dB.
        low, high: its 95 % bootstrap interval.
        p: of the Wilcoxon signed-rank test that the differences are symmetric about 0.
        p_holm: the same, Holm-corrected for all comparisons of a metric.
    """

    metric: str
    stem: str
    first: str
    second: str
    num_tracks: int
    difference: float
    low: float
    high: float
    p: float
    p_holm: float = math.nan

    @property
    def corrected(self) -> str:
        """The corrected p as tables show it; empty where it is not known."""
        if math.isnan(self.p_holm):
            return ""
        return f"{self.p_holm:.3f}" if self.p_holm >= 0.001 else "< 0.001"

    @property
    def verdict(self) -> str:
        """ "better" or "worse" (the first than the second) if interval and corrected test both say so, else "?"."""
        if self.p_holm <= 1 - LEVEL and (self.low > 0 or self.high < 0):
            return "better" if self.low > 0 else "worse"
        return "?"


Scores = Mapping[str, Mapping[str, Mapping[str, float]]]
"""{system: {track: {stem: dB}}}."""


def compare(scores: Scores, metric: str, how: str, averaged: Sequence[str]) -> list[Comparison]:
    """Compare all pairs of systems, stem by stem and by the mean of the stems, on the tracks that both have.

    Args:
        scores: of one metric.
        metric: its name.
        how: "mean" or "median" of the tracks' differences, as the metric is aggregated.
        averaged: the stems that the mean is of.

    Returns:
        The comparisons; the mean of the stems first in each pair, where both have all of them.
    """
    comparisons = []
    systems = list(scores)
    for index, first in enumerate(systems):
        for second in systems[index + 1 :]:
            tracks = [track for track in scores[first] if track in scores[second]]
            pairs = [(scores[first][track], scores[second][track]) for track in tracks]
            stems = [stem for stem in (pairs[0][0] if pairs else ()) if stem in pairs[0][1]]
            difference = np.array([[one[stem] - two[stem] for stem in stems] for one, two in pairs])
            columns = dict(zip(stems, difference.T, strict=True)) if pairs else {}
            if set(averaged) <= set(columns):
                columns = {"mean": np.mean([columns[stem] for stem in averaged], axis=0), **columns}
            for stem, values in columns.items():
                comparisons.append(_comparison(metric, stem, first, second, values[np.isfinite(values)], how))
    corrected = holm([comparison.p for comparison in comparisons])
    return [replace(comparison, p_holm=p) for comparison, p in zip(comparisons, corrected, strict=True)]


def _comparison(metric: str, stem: str, first: str, second: str, values: np.ndarray, how: str) -> Comparison:
    (low, high), _ = bootstrap_intervals(values[None], how)
    middle = float(aggregate(values, how)) if len(values) else math.nan
    return Comparison(metric, stem, first, second, len(values), middle, low, high, signed_rank(values))


def signed_rank(differences: np.ndarray) -> float:
    """Two-sided p of the Wilcoxon signed-rank test; 1 where nothing differs, NaN for fewer than MIN_TRACKS."""
    if len(differences) < MIN_TRACKS:
        return math.nan
    if not np.any(differences):
        return 1.0
    from scipy.stats import wilcoxon

    return float(wilcoxon(differences).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction; NaN stays NaN and does not count.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    known = [index for index in np.argsort(p_values, kind="stable") if not math.isnan(p_values[index])]
    corrected = [math.nan] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected
