"""Builds the report: one HTML file that needs no other file and may not load any."""

import base64
import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.page import sections
from benchmark.page.contents import ENDLESS_DB, METRICS, Contents, read_contents, stored, value_of
from benchmark.page.listening import DEFAULT_BYTES, excerpt, ranking, select_tracks
from benchmark.page.markup import escape, json_island
from benchmark.scoring.metrics import METRICS as DEFINED
from benchmark.scoring.metrics import WHOLE_TRACK
from benchmark.tables.statistics import MEAN
from benchmark.tables.summary import WHOLE
from models.browser.build import PLAYER
from models.running import atomic

FOLDER = Path(__file__).parent
SCRIPTS = (FOLDER / "table.js", PLAYER, FOLDER / "plot.js", FOLDER / "track.js", FOLDER / "page.js")


@dataclass(frozen=True)
class Report:
    """The page that was built.

    Attributes:
        path: of the page.
        num_bytes: its size.
        num_tracks: number of tracks that it lists.
        num_audible: number of tracks with audio in the page.
        num_silent: number of chosen tracks without stored audio.
        num_left_out: number of tracks of the default choice that were left out to limit the page's size.
    """

    path: Path
    num_bytes: int
    num_tracks: int
    num_audible: int
    num_silent: int
    num_left_out: int

    def describe(self) -> str:
        """One line for the user."""
        left_out = (
            f", {self.num_left_out} more left out to limit its size: add them with --tracks"
            if self.num_left_out
            else ""
        )
        silent = f", no audio was stored of {self.num_silent} more" if self.num_silent else ""
        tracks = "1 track" if self.num_tracks == 1 else f"{self.num_tracks} tracks"
        return (
            f"report: {self.path} ({self.num_bytes / 1e6:.1f} MB, {tracks},"
            f" audio of {self.num_audible}{left_out}{silent})"
        )


def write_report(out: Path, target: Path | None = None, wanted: Sequence[str] = ()) -> Report:
    """Write the report of a run; if it fails, an older page stays.

    Args:
        out: the run's folder.
        target: file of the page; None for `out/report.html`.
        wanted: the tracks whose audio the page holds: names or parts of names, or "all"; by default the worst and best.

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
    chosen = select_tracks(wanted, contents.tracks, rankings)
    names = [system.name for system in contents.systems]
    audible: list[str] = []
    num_left_out = num_silent = num_bytes = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    # Audio is written track by track, because all of it may not fit into memory.
    with tempfile.TemporaryFile("w+", encoding="utf-8", dir=target.parent) as islands:
        for track in tqdm(chosen, desc="audio", unit="track", leave=False, dynamic_ncols=True):
            results = {system.name: system.results[track] for system in contents.systems if track in system.results}
            found = excerpt(out, names, results)
            if found is None:
                num_silent += 1
                continue
            island = json_island(f"audio-{contents.tracks.index(track)}", found)
            if not wanted and audible and num_bytes + len(island) > DEFAULT_BYTES:
                num_left_out += 1
                continue
            islands.write(island)
            audible.append(track)
            num_bytes += len(island)
        islands.seek(0)
        before, after = render(contents, audible)
        with atomic.replacing(target) as part, part.open("w", encoding="utf-8") as file:
            file.write(before)
            shutil.copyfileobj(islands, file)
            file.write(after)
    return Report(target, target.stat().st_size, len(contents.tracks), len(audible), num_silent, num_left_out)


def render(contents: Contents, audible: Sequence[str]) -> tuple[str, str]:
    """The text of the page before and after the elements with audio; `audible` are the tracks of these elements."""
    script = "(() => {\n'use strict';\n" + "".join(path.read_text("utf-8") for path in SCRIPTS) + "})();\n"
    style = (FOLDER / "page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
        " form-action 'none'"
    )
    title = f"Music demixing benchmark: {contents.record.data}"
    facts = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in sections.facts(contents).items()
    )
    failures = sections.failures(contents)
    failed = f'<p class="failed">Not in the figures:</p>{_list(failures)}' if failures else ""
    audio_note = (
        f"This page holds audio of {len(audible)} of {len(contents.tracks)} tracks"
        if audible
        else "This page holds no audio, but all scores"
    )
    before = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#results">To the results</a>
<header>
<h1>Music demixing benchmark</h1>
<dl class="facts">{facts}</dl>
<nav aria-label="Sections"><a href="#results">Results</a><a href="#distribution">Distribution</a><a
 href="#cost">Cost</a><a href="#tracks">Tracks</a><a href="#published">Published</a><a href="#method">Method</a></nav>
</header>
<main>
<section id="results"><h2>Results</h2>
{failed}{sections.results_section(contents)}{sections.comparisons_section(contents)}</section>
<section id="distribution"><h2>Distribution over tracks</h2>
<p>Global SDR of each track: median, quartiles, whiskers at 1.5 times the box. Each dot is a track and links to it. Dots
far outside are drawn at the edge.</p>
{sections.distribution_section(contents)}</section>
<section id="cost"><h2>Quality and cost</h2>
{sections.cost_section(contents)}</section>
<section id="tracks"><h2>Tracks</h2>
<p>{escape(audio_note)}.</p>
{sections.extremes_section(contents)}
<div id="track" hidden></div>
<noscript><p>Players and the views of single tracks need JavaScript.</p></noscript>
<div id="track-choice"></div>
{sections.tracks_table(contents, audible)}</section>
<section id="published"><h2>Published numbers</h2>
<p>From papers and model cards. Others measured them on whole songs, some on other data or with extra training data (see
the last columns). They are not comparable with the tables above.</p>
{sections.published_section(sections.read_published())}</section>
<section id="method"><h2>Method</h2>
{_list(_method(contents))}</section>
</main>
{json_island("data", page_data(contents, audible))}"""
    return before, f"<script>{script}</script>\n</body>\n</html>\n"


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _method(contents: Contents) -> list[str]:
    definitions = [f"{METRICS[metric]}: {words}" for metric, words in sections.DEFINITIONS.items()]
    return [
        *definitions,
        "The lower bound is the mixture as the estimate of every stem; the upper bounds are masks from the true stems",
        "The audio is compressed, and only the loudest part of a long track; the scores are of the whole track",
        *sections.notes(contents),
    ]


def page_data(contents: Contents, audible: Sequence[str]) -> dict[str, Any]:
    """The data for the script: every score of every track, without the audio."""
    tracks = []
    for track in contents.tracks:
        scores: list[dict[str, Any] | None] = []
        for system in contents.systems:
            result = system.results.get(track)
            scores.append(None if result is None else _scores(result, contents))
        any_result = next(system.results[track] for system in contents.systems if track in system.results)
        duration_s = round(any_result["duration_s"], 2)
        tracks.append({"name": track, "duration_s": duration_s, "audible": track in audible, "scores": scores})
    return {
        "stems": contents.stems,
        "metrics": {name: title for name, (title, _, _) in _shown(contents).items()},
        "units": {
            name: f" ({DEFINED[metric].unit})" if DEFINED[metric].unit else ""
            for name, (_, metric, _) in _shown(contents).items()
        },
        "endless": ENDLESS_DB,
        "systems": [
            {"name": system.name, "label": system.label, "short": system.short, "tone": system.tone}
            for system in contents.systems
        ],
        "tracks": tracks,
    }


def _shown(contents: Contents) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """The scores that the script can show, by name: title, metric and the stems scored together."""
    shown = {}
    scored = {name for system in contents.systems for scores in system.row["scores"].values() for name in scores}
    for metric, title in METRICS.items():
        if metric not in scored:
            continue
        sets = [WHOLE] if metric in WHOLE_TRACK else contents.sets
        for number, together in enumerate(sets):
            name = f"{metric}-{number}" if number else metric
            shown[name] = (title + sections.set_words(together) * (number > 0), metric, together)
    return shown


def _scores(result: dict[str, Any], contents: Contents) -> dict[str, Any]:
    """A result's scores, {name: [value of each stem], "mean": {name: value}, "frames": [values of each stem]}."""
    shown = _shown(contents)
    frames: dict[str, list[float]] = {}
    for group in result["scores"]["together"]:
        frames = group["frames"]["SDR"] | frames
    return {
        **{
            name: [stored(value_of(result, metric, stem, together)) for stem in contents.stems]
            for name, (_, metric, together) in shown.items()
        },
        "mean": {
            name: stored(value_of(result, metric, MEAN, together)) for name, (_, metric, together) in shown.items()
        },
        "frames": [[stored(value, 1) for value in frames.get(stem, ())] for stem in contents.stems],
    }
