"""A run on degraded mixtures, beside the run on the clean ones: `DIR/degraded`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.degradations.degradation import Degradation
from benchmark.degradations.track import DegradedTrack
from benchmark.provenance.weights import Source
from benchmark.runs.run import run
from benchmark.runs.settings import Settings
from benchmark.runs.store import Failure
from benchmark.systems.interface import System
from models.tracks import Track

FOLDER = "degraded"
ESTIMATES = "estimates"


def run_degraded(
    degradations: Sequence[Degradation],
    sources: Sequence[Source],
    tracks: Sequence[Track],
    out: Path,
    settings: Settings,
    data: str,
    jobs: int | None = None,
    address: str | None = None,
    command: str = "",
    root: str = "",
    live: Mapping[str, System] | None = None,
) -> tuple[list[dict[str, Any]], list[Failure]]:
    """Measure every system on every degraded mixture, in `out/degraded`; stored results are reused as in `run`.

    The scorer computes SDRs alone, which is quick. A folder of estimates is left out: it was made from the clean
    mixtures, and cannot separate others.

    Args:
        degradations: see `parse_degradations`.
        out: the folder of the run on the clean mixtures.
        sources, tracks, settings, data, jobs, address, command, root, live: see `run`.
    """
    degraded = [DegradedTrack.of(track, degradation) for degradation in degradations for track in tracks]
    able = [source for source in sources if source.loader != ESTIMATES]
    words = f"{data}, degraded: {', '.join(degradation.name for degradation in degradations)}"
    quick = replace(settings, scorer="sdr", metrics=(), keep_estimates=False)
    return run(able, degraded, out / FOLDER, quick, words, jobs, address, command, root, live)
