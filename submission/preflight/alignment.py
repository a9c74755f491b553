"""What is wrong with stems whose true audio is known: which stem is which, lag, channels and gain.

Everything is said by correlation and regression, in which a weak network is as good as a strong one: how much of a true
stem is left in an estimate does not matter, only where it is.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

MAX_LAG_S = 0.5
SWAP_MARGIN = 0.1
"""Exchanged stems must explain so much more, in squared correlation, all stems together."""
LOST_DB = 0.5
"""A lag or exchanged channels count where they cost so much SDR at the best gain."""
GAIN_DB = 3.0
"""A gain counts from here, if it also costs so much in the sum of the stems against the mixture."""


@dataclass(frozen=True)
class Match:
    """How an estimate lies best over a reference.

    Attributes:
        lag: samples by which the estimate comes late.
        is_exchanged: whether left is right.
        correlation: in -1 .. 1, there.
        as_is: the same without lag or exchange.
    """

    lag: int
    is_exchanged: bool
    correlation: float
    as_is: float

    @property
    def lost_db(self) -> float:
        """SDR that the lag and the exchange cost, each estimate at its best gain."""
        return _explained_db(self.correlation) - _explained_db(self.as_is)


def diagnose(
    references: Mapping[str, np.ndarray], estimates: Mapping[str, np.ndarray], mixture: np.ndarray, sample_rate: int
) -> list[str]:
    """What is wrong, a sentence for each kind of fault; empty if nothing is.

    Args:
        references: the true stems.
        estimates: the estimated stems, of the same names.
        mixture: what was separated.
        sample_rate: in Hz.

    Shape:
        - all: [C, T]
    """
    names = list(references)
    max_lag = round(MAX_LAG_S * sample_rate)
    size = 1 << (mixture.shape[-1] + max_lag - 1).bit_length()
    true = {name: _Spectrum(references[name], size) for name in names}
    given = {name: _Spectrum(estimates[name], size) for name in names}
    matches = {(name, other): match(true[other], given[name], max_lag) for name in names for other in names}
    found = []
    held = held_stems(matches, names)
    if exchanged := [f"{name} is {other}" for name, other in held.items() if name != other]:
        found.append(f"stems are exchanged: {', '.join(exchanged)}")
    own = {name: matches[name, held[name]] for name in names}
    found += _misplaced(own)
    # Next what only the stems together show; a fault found above would spoil it.
    found = found or list(_wrong_gains(estimates, mixture, own))
    total = np.sum([estimates[name] for name in names], axis=0)
    return found or _misplaced({"all stems": match(_Spectrum(mixture, size), _Spectrum(total, size), max_lag)})


def _misplaced(matches: Mapping[str, Match]) -> list[str]:
    """Lags and exchanged channels, with the names that show them."""
    wrong = {name: found for name, found in matches.items() if found.lost_db > LOST_DB}
    told = []
    if exchanged := [name for name, found in wrong.items() if found.is_exchanged]:
        told.append(f"left and right are exchanged: {', '.join(exchanged)}")
    for lag in sorted({found.lag for found in wrong.values()} - {0}):
        late = [name for name, found in wrong.items() if found.lag == lag]
        told.append(f"{abs(lag)} samples too {'late' if lag > 0 else 'early'}: {', '.join(late)}")
    return told


def held_stems(matches: Mapping[tuple[str, str], Match], names: Sequence[str]) -> dict[str, str]:
    """Which true stem each estimate holds: its own, unless another assignment explains clearly more."""

    def explained(order: Sequence[str]) -> float:
        return sum(matches[name, other].correlation ** 2 for name, other in zip(names, order, strict=True))

    best = max(itertools.permutations(names), key=explained)
    chosen = best if explained(best) > explained(names) + SWAP_MARGIN else names
    return dict(zip(names, chosen, strict=True))


class _Spectrum:
    """A waveform's Fourier transform, with its energy."""

    def __init__(self, waveform: np.ndarray, size: int) -> None:
        waveform = np.nan_to_num(waveform.astype(np.float64))
        self.values = np.fft.rfft(waveform, size)
        self.energy = float(np.sum(waveform**2))
        self.size = size


def match(reference: _Spectrum, estimate: _Spectrum, max_lag: int) -> Match:
    """Find the lag, and whether left is right, where an estimate correlates most with a reference."""
    energy = np.sqrt(reference.energy * estimate.energy)
    if energy == 0:
        return Match(0, False, 0.0, 0.0)
    lags = np.arange(-max_lag, max_lag + 1)
    best = Match(0, False, 0.0, 0.0)
    as_is = 0.0
    for is_exchanged in (False, True) if len(reference.values) == 2 else (False,):
        other = estimate.values[::-1] if is_exchanged else estimate.values
        product = np.sum(other * reference.values.conj(), axis=0)
        correlations = np.fft.irfft(product, reference.size)[lags] / energy
        if not is_exchanged:
            as_is = float(correlations[max_lag])
        index = int(np.argmax(np.abs(correlations)))
        if abs(correlations[index]) > abs(best.correlation) + 1e-9:
            best = Match(int(lags[index]), is_exchanged, float(correlations[index]), 0.0)
    return Match(best.lag, best.is_exchanged, best.correlation, as_is)


def _wrong_gains(
    estimates: Mapping[str, np.ndarray], mixture: np.ndarray, matches: Mapping[str, Match]
) -> Iterator[str]:
    """Stems that must be multiplied before they add up to the mixture: the regression of the mixture on them."""
    names = list(estimates)
    columns = np.stack([np.nan_to_num(estimates[name]).ravel() for name in names], axis=1).astype(np.float64)
    target = mixture.ravel().astype(np.float64)
    gains, least = _regression(columns, target)
    told = []
    for index, name in enumerate(names):
        _, error = _regression(np.delete(columns, index, axis=1), target - columns[:, index])  # this one left as it is
        if gains[index] * matches[name].correlation <= 0:
            continue  # not this stem's gain: an error that the stems have in common
        is_off = gains[index] < 0 or abs(20 * np.log10(gains[index])) > GAIN_DB
        if is_off and 10 * np.log10((error + 1e-9) / (least + 1e-9)) > GAIN_DB:
            told.append(f"{name} x {1 / gains[index]:.2f}")
    if told:
        yield f"not at the level that the mixture has them at: {', '.join(told)}"


def _regression(columns: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """The factors of the columns that come closest to a target, and the energy that they leave."""
    gains = np.linalg.lstsq(columns, target, rcond=1e-6)[0]
    return gains, float(np.sum((target - columns @ gains) ** 2))


def _explained_db(correlation: float) -> float:
    """SDR at the best gain; an estimate upside down is one, too."""
    return -10 * np.log10(max(1 - correlation**2, 1e-9))
