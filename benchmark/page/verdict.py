"""The verdict of a run: which system won, by how much, and whether it is sure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.page.contents import Contents, System
from benchmark.page.markup import signed
from benchmark.provenance.weights import BOUND_ROLE
from benchmark.tables.statistics import MEAN, MIN_TRACKS, Comparison
from models.tracks import STEMS

METRIC = "sdr"
"""The metric that decides."""


@dataclass(frozen=True)
class Difference:
    """The winner minus another system, on the tracks that both have.

    Attributes:
        other: the other system.
        stem: the stem, or MEAN.
        value: the mean of the differences of the global SDR, in dB.
        low, high: its 95 % interval; NaN with too few tracks.
        p: the Holm-corrected p as text; "" with too few tracks.
        is_sure: whether the interval excludes 0 and p is at most 0.05.
        num_tracks: number of tracks.
    """

    other: System
    stem: str
    value: float
    low: float
    high: float
    p: str
    is_sure: bool
    num_tracks: int

    def evidence(self) -> str:
        """The interval and p as text; "" with too few tracks."""
        if math.isnan(self.low):
            return ""
        p = f", p {'' if self.p.startswith('<') else '= '}{self.p}" if self.p else ""
        return f"95 % interval {signed(self.low)} to {signed(self.high)} dB{p}"


@dataclass(frozen=True)
class Verdict:
    """The winner of a run.

    Attributes:
        winner: the system with the highest score, of those that finished as many tracks as any.
        stem: what decides: MEAN, or a stem if fewer than two systems have all four.
        ranked: the systems that were ranked, the winner first.
        differences: to each other ranked system, the nearest first.
        unranked: to each of the systems that lack stems or tracks, in a stem that both have.
    """

    winner: System
    stem: str
    ranked: tuple[System, ...]
    differences: tuple[Difference, ...]
    unranked: tuple[Difference, ...]


def verdict_of(contents: Contents) -> Verdict | None:
    """The verdict on the systems of a run except the bounds; None if no system has a score."""
    compared = [system for system in contents.systems if system.tone != BOUND_ROLE]
    if not compared:
        return None
    most = max(len(system.results) for system in compared)
    complete = [system for system in compared if len(system.results) == most]
    by_stem = {
        stem: [system for system in complete if math.isfinite(system.score(METRIC, stem))]
        for stem in (MEAN, *contents.stems)
    }
    stem = MEAN if len(by_stem[MEAN]) > 1 else max(by_stem, key=lambda name: len(by_stem[name]))
    ranked = sorted(by_stem[stem], key=lambda system: -system.score(METRIC, stem))
    if not ranked:
        return None
    winner = ranked[0]
    names = {system.name for system in ranked}
    others = [system for system in compared if system.name not in names]
    return Verdict(
        winner,
        stem,
        tuple(ranked),
        tuple(found for system in ranked[1:] if (found := difference(contents, winner, system, [stem]))),
        tuple(
            found for system in others if (found := difference(contents, winner, system, [stem, MEAN, *contents.stems]))
        ),
    )


def difference(contents: Contents, winner: System, other: System, stems: Sequence[str]) -> Difference | None:
    """The difference between two systems in the first of some stems that both have; None if they share none."""
    names = {winner.name, other.name}
    for stem in stems:
        for found in contents.comparisons:
            is_wanted = (found.metric, found.stem) == (METRIC, stem) and {found.first, found.second} == names
            if is_wanted and found.num_tracks:
                return _difference(found, winner, other)
    return None


def _difference(found: Comparison, winner: System, other: System) -> Difference:
    value, low, high = found.difference, found.low, found.high
    if found.first != winner.name:
        value, low, high = -value, -high, -low
    return Difference(other, found.stem, value, low, high, found.corrected, found.verdict != "?", found.num_tracks)


def sentences(verdict: Verdict, contents: Contents) -> list[str]:
    """The verdict in words: the first sentence says what was compared, what won by how much, and whether it is sure."""
    winner, num_tracks = verdict.winner, len(verdict.winner.results)
    tracks = "1 track" if num_tracks == 1 else f"{num_tracks} tracks"
    score = f"a global SDR of {signed(winner.score(METRIC, verdict.stem))} dB, {words_of(verdict.stem)}"
    where = f"on {tracks} of {contents.record.data}"
    if not verdict.differences:
        lines = [f"{winner.short} has {score}, {where}; no other system was ranked, so nothing has won."]
    else:
        second = verdict.differences[0]
        lines = [
            f"Of {len(verdict.ranked)} systems {where}, {winner.short} is best with {score}:"
            f" {_by(second)} {second.other.short}, the second. {_surely(second)}"
        ]
        if len(verdict.differences) > 1:
            lines.append(_against_all(verdict))
    lines += [_beside(found, winner) for found in verdict.unranked]
    return lines + _by_frames(verdict)


def words_of(stem: str) -> str:
    """A stem, or the mean, as words."""
    return "mean of the four stems" if stem == MEAN else stem


def _by(found: Difference) -> str:
    return f"{abs(found.value):.2f} dB {'above' if found.value >= 0 else 'below'}"


def _surely(found: Difference) -> str:
    if found.num_tracks < MIN_TRACKS:
        return f"This is not sure: fewer than {MIN_TRACKS} tracks cannot show it."
    if found.is_sure:
        return f"This is sure ({found.evidence()})."
    return f"This is not sure: it may be chance ({found.evidence()})."


def _against_all(verdict: Verdict) -> str:
    sure = [found for found in verdict.differences if found.is_sure and found.value > 0]
    total = len(verdict.differences)
    if len(sure) == total:
        return f"It is surely better than all {total} others."
    names = {found.other.name for found in sure}
    unsure = ", ".join(found.other.short for found in verdict.differences if found.other.name not in names)
    return f"It is surely better than {len(sure)} of the {total} others; not sure: {unsure}."


def _beside(found: Difference, winner: System) -> str:
    # A system with other stems or fewer tracks has no place in the ranking, but may be the better one where it has.
    relation = "better" if found.value < 0 else "worse"
    sure = (
        f"sure, {found.evidence()}" if found.is_sure else f"not sure{', ' * bool(found.evidence())}{found.evidence()}"
    )
    tracks = "" if found.num_tracks == len(winner.results) else f", on {found.num_tracks} tracks"
    return (
        f"{found.other.short} is not ranked; in {words_of(found.stem)} it is {abs(found.value):.2f} dB {relation} than"
        f" {winner.short}{tracks} ({sure})."
    )


def _by_frames(verdict: Verdict) -> list[str]:
    if verdict.stem != MEAN or len(verdict.ranked) < 2:
        return []
    scores = {system.short: system.score("csdr", MEAN, STEMS) for system in verdict.ranked}
    if any(math.isnan(value) for value in scores.values()):
        return []
    first = max(scores, key=lambda name: scores[name])
    if first == verdict.winner.short:
        return [f"By museval's cSDR it is first too ({signed(scores[first])} dB)."]
    return [f"By museval's cSDR, {first} is first ({signed(scores[first])} dB)."]
