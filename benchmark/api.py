"""The benchmark from Python: systems are objects of the caller, or names as in `--systems`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.provenance.weights import Source
from benchmark.runs import run as runs
from benchmark.runs.settings import EXCERPT_S, Settings
from benchmark.runs.store import Failure
from benchmark.scoring.metrics import parse_metrics
from benchmark.systems.catalog import MIXTURE, ORACLE, parse_systems, resolve
from benchmark.systems.interface import System
from benchmark.systems.python_object import ObjectSystem, source_of_object
from benchmark.tables.report import write
from models.running.processors import num_cpus
from models.tracks import default_data_root, open_tracks

if TYPE_CHECKING:
    import pandas

KEEP = ("excerpts", "flac", "none")
"""What `--keep-estimates` stores: the loudest 15 s as mp3 for the page, the whole estimates too, or nothing."""


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        out: its folder, which `python -m benchmark report` makes a page of.
        table: as in `table.md`.
        failures: what could not be measured, and why.
    """

    out: Path
    table: str
    failures: tuple[Failure, ...]

    @property
    def scores(self) -> "pandas.DataFrame":
        """A score of each system, track, stem and metric: `scores.csv`."""
        import pandas

        return pandas.read_csv(self.out / "scores.csv", keep_default_na=False, na_values=[""])

    @property
    def summary(self) -> "pandas.DataFrame":
        """Over the tracks, with intervals: `summary.csv`."""
        import pandas

        return pandas.read_csv(self.out / "summary.csv", keep_default_na=False, na_values=[""])


def run(
    systems: Mapping[str, Any],
    tracks: str | Path | None,
    out: str | Path,
    *,
    split: str = "test",
    limit: int | None = None,
    metrics: str = "all",
    keep_estimates: str = "excerpts",
    device: str = "cpu",
    threads: int | None = None,
) -> Run:
    """Score systems on the same tracks, beside the mixture and the ideal ratio mask.

    An object is measured in this process; named systems in processes of their own. Run again, it reuses finished
    results.

    Args:
        systems: by name: objects with `separate(mixture [C, T], sample_rate)`, which return {stem: [C, T]}; or text as
            in `--systems`, for example "bsrnn:small".
        tracks: path of the data set; None for the default.
        out: folder for the results.
        split: "train", "valid", "test" or "all".
        limit: only the first tracks.
        metrics: "all", "none" or names, separated by commas.
        keep_estimates: one of KEEP.
        device: of named systems; an object is where it is.
        threads: CPU threads; None for all.

    Raises:
        ValueError, FileNotFoundError: a system, the tracks or an option is wrong; the message says what was expected.
    """
    out = Path(out)
    root, _ = default_data_root(None if tracks is None else str(tracks))
    found = open_tracks(root, split)[:limit]
    if not found:
        raise ValueError(f"split {split}: no such tracks in {root}; try another split")
    sources, live = _sources(systems)
    settings = make_settings(device, threads or num_cpus(), metrics, keep_estimates)
    return run_sources(sources, found, out, settings, root, split, command="benchmark.run()", live=live)


def _sources(systems: Mapping[str, Any]) -> tuple[list[Source], dict[str, System]]:
    sources, live = [resolve(MIXTURE)], dict[str, System]()
    for name, system in systems.items():
        if name in (MIXTURE, ORACLE):
            raise ValueError(f"expected another name than {name!r}, which is always added as a bound")
        if isinstance(system, str):
            kinds = [kind for kind in parse_systems(system) if kind not in (MIXTURE, ORACLE)]
            if len(kinds) != 1:
                raise ValueError(f"{name}: expected one system, got {system!r}")
            sources.append(replace(resolve(kinds[0]), name=name))
        else:
            live[name] = ObjectSystem(system, name)
            sources.append(source_of_object(name, system))
    return [*sources, resolve(ORACLE)], live


def make_settings(
    device: str,
    threads: int,
    metrics: str,
    keep_estimates: str,
    scorer: str = "bandsplit",
) -> Settings:
    """The settings of a run from its options.

    Raises:
        ValueError: an option has a wrong value.
    """
    if keep_estimates not in KEEP:
        raise ValueError(f"--keep-estimates: expected {', '.join(KEEP)}, got {keep_estimates!r}")
    seconds = 0 if keep_estimates == "none" else EXCERPT_S
    flac = keep_estimates == "flac"
    return Settings(device, threads, seconds, scorer, parse_metrics(metrics), keep_estimates=flac)


def run_sources(
    sources: Sequence[Source],
    tracks: Sequence[Any],
    out: Path,
    settings: Settings,
    root: Path,
    split: str,
    jobs: int | None = None,
    address: str | None = None,
    command: str = "",
    live: Mapping[str, System] | None = None,
) -> Run:
    """Measure systems and write the tables; the arguments are those of `runs.run.run`."""
    data = f"{root.name.removesuffix('.stem.mp4')}, split {split}"
    where = str(root.resolve())
    results, failures = runs.run(sources, tracks, out, settings, data, jobs, address, command, where, live)
    return Run(out, write(out, results, failures, data, len(tracks)), tuple(failures))
