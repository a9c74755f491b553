"""Statistics of the tables: intervals of means and medians over tracks, and differences between systems.

The tracks are the sample. The bootstrap draws from them, with the same draws for every system and stem.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from benchmark.scoring.metrics import METRICS
from models.tracks import STEMS

LEVEL = 0.95
RESAMPLES = 5000
SEED = 0
MIN_TRACKS = 6
"""With fewer tracks no difference can be significant: the smallest p of the signed-rank test of 5 tracks is 1/16."""

Interval = tuple[float, float]
NO_INTERVAL = (math.nan, math.nan)
MEAN = "mean"
"""The column of the mean of the four stems."""


def aggregate(values: np.ndarray, how: str) -> np.ndarray:
    """The mean or median over tracks of the scores that are not NaN; NaN if all are.

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


def mean_over_stems(values: np.ndarray) -> np.ndarray:
    """The mean over the stems: NaN if a stem has no score, infinite if a stem's score is.

    It is also NaN if one stem is infinite and another minus infinite, and for no stems. All tables use this function.

    Shape:
        - values: [S, ...]
        - output: [...]
    """
    if not len(values):
        return np.full(values.shape[1:], np.nan)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.mean(values, axis=0))


def stem_mean(scores: Mapping[str, float]) -> float:
    """`mean_over_stems` of the four stems of {stem: dB}; NaN if one is missing."""
    return float(mean_over_stems(np.array([scores.get(stem, math.nan) for stem in STEMS])))


def bootstrap_intervals(
    scores: np.ndarray, how: str, resamples: int = RESAMPLES, averaged: Sequence[int] | None = None
) -> list[Interval]:
    """95 % intervals of each stem's mean or median over tracks, and of the mean of these over the stems.

    They are percentile intervals of the bootstrap, widened for small samples as Student's t widens the normal one.

    Source: T. Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69, 2015 (expanded
        percentile interval).

    Args:
        scores: of one system.
        how: "mean" or "median".
        resamples: number of draws.
        averaged: indices of the stems in the last interval; None for all.

    Shape:
        - scores: [S, N tracks]

    Returns:
        S + 1 intervals; (NaN, NaN) for fewer than MIN_TRACKS known scores.
    """
    scores = np.asarray(scores, dtype=np.float64)
    num_stems, num_tracks = scores.shape
    if num_tracks < MIN_TRACKS:
        return [NO_INTERVAL] * (num_stems + 1)
    rows = list(range(num_stems) if averaged is None else averaged)
    draws = _draws(num_tracks, resamples)
    replicates = np.stack([aggregate(stem[draws], how) for stem in scores])  # [S, resamples]
    replicates = np.concatenate((replicates, mean_over_stems(replicates[rows])[None]))
    enough = (~np.isnan(scores)).sum(axis=1) >= MIN_TRACKS
    return [
        _quantiles(values, num_tracks) if usable else NO_INTERVAL
        for values, usable in zip(replicates, [*enough, enough[rows].all()], strict=True)
    ]


@lru_cache(maxsize=4)
def _draws(num_tracks: int, resamples: int) -> np.ndarray:
    return np.random.default_rng(SEED).integers(num_tracks, size=(resamples, num_tracks))


def _quantiles(replicates: np.ndarray, num_tracks: int) -> Interval:
    """The interval between two quantiles of the replicates that are not NaN."""
    from scipy.stats import norm, t

    known = replicates[~np.isnan(replicates)]
    if not len(known):
        return NO_INTERVAL
    tail = norm.cdf(t.ppf((1 - LEVEL) / 2, num_tracks - 1) * math.sqrt(num_tracks / (num_tracks - 1)))
    low, high = np.quantile(known, [tail, 1 - tail], method="nearest")  # nearest: no interpolation with infinite scores
    return float(low), float(high)


@dataclass(frozen=True)
class Comparison:
    """The difference between two systems on the same tracks.

    Attributes:
        metric: the score.
        stem: the stem, or "mean" of the stems.
        first, second: the systems.
        num_tracks: number of tracks with a finite score in both.
        difference: mean or median of the tracks' differences, first minus second, in the metric's unit.
        low, high: its 95 % bootstrap interval.
        p: of the Wilcoxon signed-rank test that the differences are symmetric about 0.
        p_holm: the same, Holm-corrected for all comparisons of a metric.
        together: the stems that it was scored together with, joined by "+"; "" for a score of whole tracks.
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
    together: str = ""

    @property
    def corrected(self) -> str:
        """The corrected p as text for tables; empty if it is not known."""
        if math.isnan(self.p_holm):
            return ""
        return f"{self.p_holm:.3f}" if self.p_holm >= 0.001 else "< 0.001"

    @property
    def verdict(self) -> str:
        """Whether the first is "better" or "worse" than the second by the interval and the corrected p, else "?"."""
        if self.p_holm <= 1 - LEVEL and (self.low > 0 or self.high < 0):
            return "better" if (self.low > 0) == METRICS[self.metric].higher_is_better else "worse"
        return "?"


Column = tuple[str, tuple[str, ...]]
"""A stem, and the stems that it was scored together with; () for a score that does not depend on them."""
Scores = Mapping[str, Mapping[Hashable, Mapping[Column, float]]]
"""{system: {track: {column: dB}}}."""


def compare(scores: Scores, metric: str, how: str) -> list[Comparison]:
    """Compare all pairs of systems, stem by stem and by the mean of the stems, on the tracks that both have.

    Scores are compared only if both were scored together with the same stems; of several such sets the first counts.

    Args:
        scores: of one metric.
        metric: its name.
        how: "mean" or "median" of the tracks' differences, as the metric is aggregated.

    Returns:
        The comparisons. In each pair the mean of the stems comes first, if both systems have all stems.
    """
    comparisons = []
    systems = list(scores)
    for index, first in enumerate(systems):
        for second in systems[index + 1 :]:
            tracks = [track for track in scores[first] if track in scores[second]]
            pairs = [(scores[first][track], scores[second][track]) for track in tracks]
            shared: dict[str, tuple[str, ...]] = {}
            for stem, together in pairs[0][0] if pairs else ():
                if (stem, together) in pairs[0][1]:
                    shared.setdefault(stem, together)
            with np.errstate(invalid="ignore"):  # both infinite: the difference is NaN
                columns = {
                    stem: np.array([one[stem, together] - two[stem, together] for one, two in pairs])
                    for stem, together in shared.items()
                }
            sets = {shared.get(stem) for stem in STEMS}
            if len(sets) == 1 and None not in sets:
                columns = {MEAN: mean_over_stems(np.stack([columns[stem] for stem in STEMS])), **columns}
            for stem, values in columns.items():
                together = shared[STEMS[0] if stem == MEAN else stem]
                finite = values[np.isfinite(values)]
                comparisons.append(_comparison(metric, stem, first, second, finite, how, "+".join(together)))
    corrected = holm([comparison.p for comparison in comparisons])
    return [replace(comparison, p_holm=p) for comparison, p in zip(comparisons, corrected, strict=True)]


def _comparison(
    metric: str, stem: str, first: str, second: str, values: np.ndarray, how: str, together: str
) -> Comparison:
    (low, high), _ = bootstrap_intervals(values[None], how)
    middle = float(aggregate(values, how)) if len(values) else math.nan
    return Comparison(
        metric, stem, first, second, len(values), middle, low, high, signed_rank(values), together=together
    )


def signed_rank(differences: np.ndarray) -> float:
    """Two-sided p of the Wilcoxon signed-rank test; 1 if all differences are 0, NaN for fewer than MIN_TRACKS."""
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
