"""What is kept of a system on a track: one json file, `DIR/tracks/<system>/<track>.json`, whole or not there at all."""

import hashlib
import json
import math
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmark.bsseval import METRICS
from benchmark.scoring import FRAME_MEDIANS, WHOLE_TRACK
from benchmark.source import Source
from models.tracks import Track

FORMAT = 3
"""Raised when results of an older version must not be reused."""


@dataclass(frozen=True)
class Settings:
    """What the measured figures depend on besides system and track.

    Attributes:
        device: where the systems run, as torch names it.
        threads: CPU threads of a system.
        keep_audio_s: seconds of each track whose audio is kept, 0 for none; no figure depends on it.
        scorer: what computes the frames, see `scoring.SCORERS`.
    """

    device: str
    threads: int
    keep_audio_s: int = 0
    scorer: str = "bandsplit"


@dataclass(frozen=True)
class Failure:
    """A system that did not finish a track (or any track, when `track` is empty), and why."""

    system: str
    track: str
    reason: str


def result_key(source: Source, track: Track, settings: Settings) -> dict[str, Any]:
    """Everything that must agree before a stored result is reused."""
    figures = {name: value for name, value in asdict(settings).items() if name != "keep_audio_s"}
    return {
        "format": FORMAT,
        "system": source.name,
        "digest": source.digest,
        "track": track.name,
        "split": track.split,
        "audio": track.fingerprint(),
        **figures,
    }


def result_path(out: Path, system: str, track: str) -> Path:
    """Where the result of a system on a track is kept."""
    return out / "tracks" / safe_name(system) / f"{safe_name(track)}.json"


def safe_name(name: str) -> str:
    """A file name for any text: letters, digits, `.`, `_` and `-`, and a hash where that loses something."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip(".")[:100]
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def read_result(path: Path, key: dict[str, Any], frames: bool = True) -> dict[str, Any] | None:
    """A stored result; None if there is none, it is damaged, or it was measured under another key.

    Args:
        path: its file.
        key: what it must have been measured under.
        frames: False leaves out the scores of single frames, which are most of a result.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["key"] != key:
            return None
        scores = result["scores"]
        by_frame = [scores["frames"][metric] for metric in METRICS]
        for values in (*(scores[name] for name in (*WHOLE_TRACK, *FRAME_MEDIANS)), *by_frame):
            for stem in scores["stems"]:
                values[stem] = _from_json(values[stem])
        if not frames:
            del scores["frames"]
        return result
    except (OSError, ValueError, KeyError, TypeError):
        return None


def has_audio(result: dict[str, Any], seconds: int) -> bool:
    """Whether the audio that is asked for was kept with a result; if not, it must be measured again."""
    return seconds == 0 or (result.get("audio") or {}).get("seconds") == seconds


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Write a result so that the file is complete whenever it exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(_to_json(result), indent=1, allow_nan=False, ensure_ascii=False) + "\n", "utf-8")
    os.replace(part, path)


def _to_json(value: Any) -> Any:
    """Strict json has no numbers that are not finite: NaN becomes null, an infinite SDR "inf" or "-inf"."""
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
