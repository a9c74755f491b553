"""The data for the page's script: every score of every track, and how the script may show them."""

from collections.abc import Sequence
from typing import Any

from benchmark.page.contents import ENDLESS_DB, METRICS, Contents, stored, value_of
from benchmark.page.sections import set_words
from benchmark.scoring.metrics import METRICS as DEFINED
from benchmark.scoring.metrics import WHOLE_TRACK
from benchmark.tables.statistics import MEAN
from benchmark.tables.summary import WHOLE


def page_data(contents: Contents, audible: Sequence[str], beside: bool = False) -> dict[str, Any]:
    """The data without the audio.

    Args:
        contents: the run.
        audible: the tracks with audio.
        beside: whether the audio is in files beside the page.
    """
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
        "beside": beside,
        "systems": [
            {
                "name": system.name,
                "label": system.label,
                "short": system.short,
                "tone": system.tone,
                "color": system.color,
            }
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
            shown[name] = (title + set_words(together) * (number > 0), metric, together)
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
