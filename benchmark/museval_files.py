"""The frames' scores in museval's own format, so that its aggregation (EvalStore, MethodStore) reads them.

They are `DIR/museval/<system>/<split>/<track>.json`. As with its own files, museval reads those of the test split:
`museval.MethodStore().add_eval_dir("DIR/museval/<system>")`.
"""

import json
import math
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmark.bsseval import METRICS
from benchmark.results import safe_name


def museval_path(out: Path, system: str, split: str, track: str) -> Path:
    """Where the scores of a system on a track are written; museval takes the track's name from the file's."""
    return out / "museval" / safe_name(system) / split / f"{track}.json"


def write_museval(out: Path, result: dict[str, Any]) -> Path:
    """Write the frames of a result, whole or not at all; returns the path.

    As museval writes them: five decimals, and NaN where a ratio is infinite, which is not strict json.
    """
    key, frames = result["key"], result["scores"]["frames"]

    def frame(stem: str, index: int) -> dict[str, Any]:
        scores = {metric: frames[metric][stem][index] for metric in METRICS}
        rounded = {metric: round(value, 5) if math.isfinite(value) else math.nan for metric, value in scores.items()}
        return {"time": float(index), "duration": 1.0, "metrics": rounded}

    targets = [
        {"name": stem, "frames": [frame(stem, index) for index in range(len(frames["SDR"][stem]))]}
        for stem in result["scores"]["stems"]
    ]
    path = museval_path(out, key["system"], key["split"], key["track"])
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    text = json.dumps({"targets": targets, "museval_version": version("museval")}, indent=2)
    part.write_text(text + "\n", encoding="utf-8")
    os.replace(part, path)
    return path
