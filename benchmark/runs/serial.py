"""Measures pairs of a system and a track one after the other, each system in its own process."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmark.runs.pair import Origin, Pair
from benchmark.runs.process import Failures, MeasuringProcess
from benchmark.runs.settings import Settings
from benchmark.runs.store import Failure


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
