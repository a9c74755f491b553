"""Measures pairs of a system and a track one after the other, each system in its own process, or objects in this."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmark.runs.pair import Origin, Pair, describe, measure_pair, prepare
from benchmark.runs.process import DONE, FAILED, UNUSABLE, Failures, MeasuringProcess
from benchmark.runs.settings import Settings
from benchmark.runs.store import Failure
from benchmark.systems.interface import System


def run_pairs(pairs: Sequence[Pair], out: Path, settings: Settings, origin: Origin, bar: Any) -> list[Failure]:
    """Measure pairs.

    Args:
        pairs: sorted by system.
        out: folder of the results.
        settings: see Settings.
        origin: see Origin.
        bar: counts the pairs.

    Returns:
        The failures: one for each failed pair, or one for a system that cannot be loaded.
    """
    failures = Failures()
    for source, group in groupby(pairs, key=lambda pair: pair.source):
        bar.set_description(source.name)
        with MeasuringProcess(source, out, settings, origin) as process:
            for pair in group:
                if not failures.gave_up(source):
                    failures.note(pair, process.measure(pair))
                bar.update(1)
    return failures


def run_here(
    pairs: Sequence[Pair], live: Mapping[str, System], out: Path, settings: Settings, origin: Origin, bar: Any
) -> list[Failure]:
    """Measure objects of this process; their memory is that of the whole process.

    Args:
        pairs: sorted by system.
        live: the systems by name.
        out, settings, origin, bar: as of `run_pairs`.

    Returns:
        The failures.
    """
    failures = Failures()
    for source, group in groupby(pairs, key=lambda pair: pair.source):
        bar.set_description(source.name)
        prepared = None
        for pair in group:
            if not failures.gave_up(source):
                stage = FAILED if prepared else UNUSABLE
                try:
                    prepared = prepared or prepare(source, settings, live[source.name])
                    stage = FAILED
                    measure_pair(*prepared, pair, out, settings, origin)
                    failures.note(pair, (DONE, ""))
                except Exception as error:
                    failures.note(pair, (stage, describe(error)))
            bar.update(1)
    return failures
