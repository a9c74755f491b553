"""Writes the scores of frames in museval's format, so that its aggregation (EvalStore, MethodStore) reads them.

The files are `DIR/museval/<system>/<split>/<track>.json`. museval reads those of the test split:
`museval.MethodStore().add_eval_dir("DIR/museval/<system>")`.
"""

import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmark.runs.store import safe_name
from benchmark.scoring.bsseval import METRICS
from models.running import atomic


def museval_path(out: Path, system: str, split: str, track: str) -> Path:
    """The file for the scores of a system on a track; museval reads the track's name from the file name."""
    return out / "museval" / safe_name(system) / split / f"{track}.json"


def write_museval(out: Path, result: dict[str, Any]) -> Path:
    """Write the frames of a result; returns the path.

    As in museval's files there are five decimals, and NaN for an infinite ratio, which is not strict json. The frames
    of a stem are from the first set that it was scored in: for a system of four stems, all four.
    """
    key = result["key"]

    def frame(frames: dict[str, Any], stem: str, index: int) -> dict[str, Any]:
        scores = {metric: frames[metric][stem][index] for metric in METRICS}
        rounded = {metric: round(value, 5) if math.isfinite(value) else math.nan for metric, value in scores.items()}
        return {"time": float(index), "duration": 1.0, "metrics": rounded}

    targets: dict[str, Any] = {}
    for group in result["scores"]["together"]:
        for stem in group["stems"]:
            indices = range(group["num_frames"])
            targets.setdefault(stem, [frame(group["frames"], stem, index) for index in indices])
    path = museval_path(out, key["system"], key["split"], key["track"])
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = [{"name": stem, "frames": frames} for stem, frames in targets.items()]
    atomic.write_json(path, {"targets": listed, "museval_version": version("museval")}, indent=2)
    return path
