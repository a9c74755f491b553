"""Finds exchanged stems, lags, exchanged channels and wrong gains in estimates whose true stems are known.

It uses correlation and regression. So a weak network passes as well as a strong one: the position of a true stem in an
estimate counts, not how much of it is left.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

MAX_LAG_S = 0.5
SWAP_MARGIN = 0.1
"""Stems count as exchanged if the exchange adds more than this to the squared correlation, summed over all stems."""
LOST_DB = 0.5
"""A lag or exchanged channels are reported if they cost more than this in SDR, at the best gain."""
GAIN_DB = 3.0
"""A gain is reported if it is off by more than this, and costs more than this in the sum of the stems."""


@dataclass(frozen=True)
class Match:
    """The lag and channel order at which an estimate correlates most with a reference.

    Attributes:
        lag: delay of the estimate, samples.
        is_exchanged: whether left and right are exchanged.
        correlation: at this lag and channel order, in -1 .. 1.
        as_is: the correlation without lag or exchange.
    """

    lag: int
    is_exchanged: bool
    correlation: float
    as_is: float

    @property
    def lost_db(self) -> float:
        """SDR that the lag and the exchange cost, dB, each estimate at its best gain."""
        return _explained_db(self.correlation) - _explained_db(self.as_is)


def diagnose(
    references: Mapping[str, np.ndarray], estimates: Mapping[str, np.ndarray], mixture: np.ndarray, sample_rate: int
) -> list[str]:
    """One sentence for each kind of fault; empty if there is none.

    Args:
        references: the true stems.
        estimates: the estimated stems, of the same names.
        mixture: the mixture that was separated.
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
    held = assigned_stems(matches, names)
    if exchanged := [f"{name} is {other}" for name, other in held.items() if name != other]:
        found.append(f"stems are exchanged: {', '.join(exchanged)}")
    own = {name: matches[name, held[name]] for name in names}
    found += _misplaced(own)
    # Gains need stems in their place, so they are checked only if nothing was found above.
    found = found or list(_wrong_gains(estimates, mixture, own))
    total = np.sum([estimates[name] for name in names], axis=0)
    return found or _misplaced({"all stems": match(_Spectrum(mixture, size), _Spectrum(total, size), max_lag)})


def _misplaced(matches: Mapping[str, Match]) -> list[str]:
    """A sentence for exchanged channels and one for each lag, with the names of the stems."""
    wrong = {name: found for name, found in matches.items() if found.lost_db > LOST_DB}
    messages = []
    if exchanged := [name for name, found in wrong.items() if found.is_exchanged]:
        messages.append(f"left and right are exchanged: {', '.join(exchanged)}")
    for lag in sorted({found.lag for found in wrong.values()} - {0}):
        late = [name for name, found in wrong.items() if found.lag == lag]
        messages.append(f"{abs(lag)} samples too {'late' if lag > 0 else 'early'}: {', '.join(late)}")
    return messages


def assigned_stems(matches: Mapping[tuple[str, str], Match], names: Sequence[str]) -> dict[str, str]:
    """The true stem in each estimate: its own, unless another assignment correlates clearly more (SWAP_MARGIN)."""

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
    """Find the lag and the channel order at which an estimate correlates most with a reference."""
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
    """Stems whose factor in the regression of the mixture on all stems is not 1, in one sentence."""
    names = list(estimates)
    columns = np.stack([np.nan_to_num(estimates[name]).ravel() for name in names], axis=1).astype(np.float64)
    target = mixture.ravel().astype(np.float64)
    gains, least = _regression(columns, target)
    factors = []
    for index, name in enumerate(names):
        _, error = _regression(np.delete(columns, index, axis=1), target - columns[:, index])  # this stem at gain 1
        if gains[index] * matches[name].correlation <= 0:
            continue  # the sign contradicts the correlation: an error that the stems share, not a gain
        is_off = gains[index] < 0 or abs(20 * np.log10(gains[index])) > GAIN_DB
        if is_off and 10 * np.log10((error + 1e-9) / (least + 1e-9)) > GAIN_DB:
            factors.append(f"{name} x {1 / gains[index]:.2f}")
    if factors:
        yield f"stems at another level than in the mixture: {', '.join(factors)}"


def _regression(columns: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """The least-squares factors of the columns for a target, and the energy of the residual."""
    gains = np.linalg.lstsq(columns, target, rcond=1e-6)[0]
    return gains, float(np.sum((target - columns @ gains) ** 2))


def _explained_db(correlation: float) -> float:
    """SDR at the best gain, dB; the gain may be negative."""
    return -10 * np.log10(max(1 - correlation**2, 1e-9))
