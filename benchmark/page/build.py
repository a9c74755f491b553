"""Builds the report: one HTML file that may load nothing, or only the audio files beside it."""

import base64
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmark.page import origin, sections
from benchmark.page.beside import AudioFolder
from benchmark.page.contents import METRICS, Contents, read_contents
from benchmark.page.data import page_data
from benchmark.page.forest import forest_section
from benchmark.page.listening import DEFAULT_BYTES, excerpt, inside, ranking, select_tracks
from benchmark.page.markup import json_island
from benchmark.page.verdict import sentences, verdict_of
from benchmark.provenance.weights import BOUND_ROLE
from models.browser.build import PLAYER
from models.running import atomic

FOLDER = Path(__file__).parent
SCRIPTS = (
    FOLDER / "copy.js",
    FOLDER / "table.js",
    PLAYER,
    *(FOLDER / name for name in ("plot.js", "matrix.js", "track.js", "blind.js", "page.js")),
)


@dataclass(frozen=True)
class Report:
    """The page that was built.

    Attributes:
        path: of the page.
        num_bytes: its size, with that of the audio beside it.
        num_tracks: number of tracks that it lists.
        num_audible: number of tracks with audio.
        num_silent: number of chosen tracks without stored audio.
        num_left_out: number of tracks of the default choice that were left out to limit the page's size.
        audio: the folder with the audio beside the page; None if it is in the page.
    """

    path: Path
    num_bytes: int
    num_tracks: int
    num_audible: int
    num_silent: int
    num_left_out: int
    audio: Path | None = None

    def describe(self) -> str:
        """One line for the user."""
        left_out = (
            f", {self.num_left_out} more left out to limit its size: add them with --tracks"
            if self.num_left_out
            else ""
        )
        silent = f", no audio was stored of {self.num_silent} more" if self.num_silent else ""
        tracks = "1 track" if self.num_tracks == 1 else f"{self.num_tracks} tracks"
        beside = f"; put it on a web server together with {self.audio}/" if self.audio else ""
        return (
            f"report: {self.path} ({self.num_bytes / 1e6:.1f} MB, {tracks},"
            f" audio of {self.num_audible}{left_out}{silent}){beside}"
        )


def write_report(out: Path, target: Path | None = None, wanted: Sequence[str] = (), beside: bool = False) -> Report:
    """Write the report of a run; if it fails, an older page stays.

    Args:
        out: the run's folder.
        target: file of the page; None for `out/report.html`.
        wanted: the tracks whose audio the page holds: names or parts of names, or "all"; by default the worst and best
            (all tracks with audio beside the page).
        beside: put the audio into a folder beside the page, which then needs a web server.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: nothing was measured, a name matches no track, or a stored file is damaged.
        OSError: the page cannot be written.
    """
    from tqdm import tqdm

    contents = read_contents(out)
    target = target or out / "report.html"
    if target.is_dir():
        raise ValueError(f"--out {target}: expected a file, got a folder; name a file")
    rankings = [ranking(system.results) for system in contents.ours]
    chosen = select_tracks(wanted or (["all"] if beside else []), contents.tracks, rankings)
    names = [system.name for system in contents.systems]
    audible: list[str] = []
    num_left_out = num_silent = num_bytes = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    # Audio is written track by track, because all of it may not fit into memory.
    with (
        AudioFolder.beside(target, beside) as folder,
        tempfile.TemporaryFile("w+", encoding="utf-8", dir=target.parent) as islands,
    ):
        for track in tqdm(chosen, desc="audio", unit="track", leave=False, dynamic_ncols=True):
            results = {system.name: system.results[track] for system in contents.systems if track in system.results}
            found = excerpt(out, names, results)
            if found is None:
                num_silent += 1
                continue
            index = contents.tracks.index(track)
            island = json_island(f"audio-{index}", folder.keep(index, found) if folder else inside(found))
            if not wanted and not beside and audible and num_bytes + len(island) > DEFAULT_BYTES:
                num_left_out += 1
                continue
            islands.write(island)
            audible.append(track)
            num_bytes += len(island)
        islands.seek(0)
        with atomic.replacing(target) as part, part.open("w", encoding="utf-8") as file:
            render(contents, audible, islands, file, beside)
            beside_bytes = folder.publish() if folder else 0
    return Report(
        target,
        target.stat().st_size + beside_bytes,
        len(contents.tracks),
        len(audible),
        num_silent,
        num_left_out,
        folder.path if folder else None,
    )


def render(
    contents: Contents, audible: Sequence[str], islands: Iterator[str] | IO[str], file: IO[str], beside: bool = False
) -> None:
    """Write the text of the page.

    Args:
        contents: the run.
        audible: the tracks with audio.
        islands: the elements with the audio, which may be too many for the memory together.
        file: where the page goes.
        beside: whether the audio is in files beside the page.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    script = "(() => {\n'use strict';\n" + "".join(path.read_text("utf-8") for path in SCRIPTS) + "})();\n"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    files = "img-src 'self' data:; connect-src 'self'" if beside else "img-src data:"
    verdict = verdict_of(contents)
    html: dict[str, str] = {  # made by functions that escape what comes from outside
        "style": (FOLDER / "page.css").read_text("utf-8"),
        "script": script,
        "forest": forest_section(verdict, contents) if verdict else "",
        "results": sections.results_section(contents),
        "comparisons": sections.comparisons_section(contents),
        "extremes": sections.extremes_section(contents),
        "tracks": sections.tracks_table(contents, audible),
        "distribution": sections.distribution_section(contents),
        "cost": sections.cost_section(contents),
        "published": sections.published_section(sections.read_published()),
        "data": json_island("data", page_data(contents, audible, beside)),
    }
    text: dict[str, Any] = {
        "policy": f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; {files};"
        " base-uri 'none'; form-action 'none'",
        "title": f"Music demixing benchmark: {contents.record.data}",
        "music": origin.music(contents),
        "dates": origin.dates(contents),
        "verdict": sentences(verdict, contents) if verdict else [],
        "failures": origin.failures(contents),
        "audio_note": f"This page holds audio of {len(audible)} of {len(contents.tracks)} tracks"
        if audible
        else "This page holds no audio, but all scores",
        "audible": audible,
        "num_rivals": sum(system.tone != BOUND_ROLE for system in contents.systems),
        "method": _method(contents),
        "facts": origin.facts(contents),
        "bibtex": origin.bibtex(contents),
    }
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
    marked = {name: Markup(part) for name, part in html.items()}
    file.writelines(environment.get_template("page.html").generate(**text, **marked, islands=map(Markup, islands)))


def _method(contents: Contents) -> list[str]:
    definitions = [f"{METRICS[metric]}: {words}" for metric, words in sections.DEFINITIONS.items()]
    return [
        *definitions,
        "The lower bound is the mixture as the estimate of every stem; the upper bounds are masks from the true stems",
        "The audio is compressed, and only the loudest part of a long track; the scores are of the whole track",
        *origin.notes(contents),
    ]
