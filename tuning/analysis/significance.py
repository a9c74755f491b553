"""The significant difference of two means: the spread between seeds, and Tukey's honestly significant difference."""

import math
from collections.abc import Sequence

CONFIDENCE = 0.95


def pooled_spread(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Standard deviation within groups, pooled, and its degrees of freedom.

    Args:
        groups: the values of each, such as the SDR of each seed of a cell.

    Returns:
        The deviation (nan if no group has two values), and the number of values minus the number of groups.
    """
    freedom = sum(len(values) - 1 for values in groups if values)
    if freedom < 1:
        return math.nan, 0
    squares = 0.0
    for values in groups:
        mean = sum(values) / max(1, len(values))
        squares += sum((value - mean) ** 2 for value in values)
    return (squares / freedom) ** 0.5, freedom


def honest_difference(spread: float, num_means: int, freedom: int, seeds: int, others: int) -> float:
    """The difference of two of several means that fewer than one in twenty experiments exceed by chance.

    Source: Tukey 1949, honestly significant difference, from the studentised range; Kramer 1956, for means of different
        numbers of values.

    Args:
        spread: standard deviation within the groups, pooled.
        num_means: number of all means that are compared.
        freedom: degrees of freedom of ``spread``.
        seeds: number of values in the first mean.
        others: number of values in the second mean.

    Returns:
        The difference, in the unit of ``spread``; nan for fewer than two means or an unknown spread.
    """
    if num_means < 2 or not freedom:
        return math.nan
    from scipy.stats import studentized_range

    quantile = float(studentized_range.ppf(CONFIDENCE, num_means, freedom))
    return quantile * spread * ((1 / seeds + 1 / others) / 2) ** 0.5
