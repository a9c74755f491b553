"""Stored results: a json file for each system and track, `DIR/tracks/<system>/<split>/<track>.json`."""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.scoring.bsseval import METRICS
from benchmark.scoring.metrics import EXTRA, FRAME_MEDIANS, TOGETHER, WHOLE_TRACK
from models.running import atomic
from models.running.keyed_results import read_keyed

FORMAT = 5
"""Increased when results of an older version must not be reused."""
ALWAYS = frozenset(WHOLE_TRACK) - frozenset(EXTRA)
"""The scores of whole tracks without which a result is damaged."""


@dataclass(frozen=True)
class Failure:
    """A system that did not finish a track, or any track if `track` is "", and the reason."""

    system: str
    track: str
    reason: str


TrackId = tuple[str, str]
"""Split and name: two splits may have tracks of the same name."""


def track_id(key: Mapping[str, Any]) -> TrackId:
    """The track of a result's key."""
    return key["split"], key["track"]


def track_titles(ids: Iterable[TrackId]) -> dict[TrackId, str]:
    """The name of each track in tables, with its split if another split has a track of the same name."""
    different = list(dict.fromkeys(ids))
    counts = Counter(name for _, name in different)
    return {(split, name): name if counts[name] == 1 else f"{name} ({split})" for split, name in different}


def result_path(out: Path, system: str, split: str, track: str) -> Path:
    """The file of a system's result on a track."""
    return out / "tracks" / safe_name(system) / split / f"{safe_name(track)}.json"


def num_older_results(out: Path) -> int:
    """Number of results in the places where older versions of this program stored them."""
    return sum(1 for _ in out.glob("tracks/*/*.json"))


def safe_name(name: str) -> str:
    """A file name for any text: letters, digits, `.`, `_` and `-`, with a hash if other characters were replaced."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip(".")[:100]
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def read_result(path: Path, key: dict[str, Any], frames: bool = True) -> dict[str, Any] | None:
    """A stored result; None if there is none, it is damaged, or it was measured under another key.

    Args:
        path: its file.
        key: the key that it must have.
        frames: False leaves out the scores of single frames, which are most of a result.
    """
    result = read_keyed(path, key, _with_numbers)
    return result if result is None or frames else without_frames(result)


def _with_numbers(result: dict[str, Any]) -> dict[str, Any]:
    """A result with the scores that `_to_json` wrote made numbers again."""
    scores = result["scores"]
    for metric in ALWAYS | scores.keys() & set(WHOLE_TRACK):
        scores[metric] = {stem: _from_json(scores[metric][stem]) for stem in scores["stems"]}
    for group in scores["together"]:
        stems = group["stems"]
        for metric in FRAME_MEDIANS.keys() | group.keys() & set(TOGETHER):
            group[metric] = {stem: _from_json(group[metric][stem]) for stem in stems}
        by_frame = {metric: group["frames"][metric] for metric in METRICS}
        group["frames"] = {
            metric: {stem: _from_json(values[stem]) for stem in stems} for metric, values in by_frame.items()
        }
    return result


def read_key(path: Path) -> dict[str, Any] | None:
    """The key of a stored result; None if it cannot be read."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def without_frames(result: dict[str, Any]) -> dict[str, Any]:
    """A result without the scores of single frames, which are most of it."""
    groups = [
        {name: part for name, part in group.items() if name != "frames"} for group in result["scores"]["together"]
    ]
    return {**result, "scores": {**result["scores"], "together": groups}}


def has_audio(result: dict[str, Any], seconds: int) -> bool:
    """Whether a result has the wanted seconds of audio; if not, it must be measured again."""
    return seconds == 0 or (result.get("audio") or {}).get("seconds") == seconds


def has_metrics(result: dict[str, Any], metrics: Iterable[str]) -> bool:
    """Whether a result has the wanted metrics; if not, it must be scored again."""
    return set(metrics) <= set(stored_metrics(result))


def stored_metrics(result: Mapping[str, Any]) -> tuple[str, ...]:
    """The metrics of a result that are not always computed."""
    return tuple(metric for metric in EXTRA if metric in result["scores"])


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Write a result so that the file is complete whenever it exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_json(path, _to_json(result), ensure_ascii=False, allow_nan=False)


def _to_json(value: Any) -> Any:
    """Values for strict json, which allows only finite numbers: NaN becomes null, an infinite SDR "inf" or "-inf"."""
    if isinstance(value, dict):
        return {key: _to_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    return math.nan if value is None else float(value)
