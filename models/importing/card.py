"""The model card of imported weights, and the information in it."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import torch

from models.importing.catalog import UNKNOWN, Entry
from models.macs import seconds_on_t4
from models.presets.preset import Preset

CODE = {
    "magronp": "https://github.com/magronp/bsrnn",
    "amanteur": "https://github.com/amanteur/BandSplitRNN-PyTorch",
    "crlandsc": "https://github.com/crlandsc/Music-Demixing-with-Band-Split-RNN",
}
"""Address of each layout's codebase."""


def facts(name: str, preset: Preset, files: Mapping[str, str], entry: Entry | None, gmacs: float) -> dict[str, Any]:
    """The information about imported weights in `config.json` and the card.

    Args:
        name: of the checkpoint.
        preset: its settings.
        files: SHA-256 of each imported file, by name.
        entry: the catalog's entry with this name and layout, if there is one.
        gmacs: 10^9 multiply-accumulates for a second of stereo audio, overlaps included.
    """
    with torch.device("meta"):
        parameters = sum(parameter.numel() for parameter in preset.build_network().parameters())
    info: dict[str, Any] = {
        "name": name,
        "date": date.today().isoformat(),
        "imported_from": preset.architecture,
        "code": CODE[preset.architecture],
        "training_data": entry.training_data if entry else UNKNOWN,
        "licence": entry.licence if entry else "none stated",
        "parameters": parameters,
        "gmacs_per_second": round(gmacs, 1),
        "sha256": dict(files),
    }
    if entry:
        info |= {
            "source": entry.where[0],
            "published_metric": f"{entry.metric} on {entry.scored_on}",
            "published": dict(entry.scores_by_stem),
        }
    return info


def import_card(preset: Preset, info: Mapping[str, Any]) -> str:
    """The card, Markdown."""
    stems = ", ".join(preset.model.stems)
    files = "\n".join(f"| `{name}` | `{digest}` |" for name, digest in info["sha256"].items())
    t4_s = seconds_on_t4(info["gmacs_per_second"])
    return f"""# {info["name"]}

Weights of [{preset.architecture}]({info["code"]}) for music source separation ({stems}),
imported by `python -m models import`. Bandsplit neither trained nor checked them.

| | |
|---|---|
| training data | {info["training_data"]} |
| source | {info.get("source", "unknown")} |
| licence | {info["licence"]} |
| imported | {info["date"]} |
| parameters | {info["parameters"]} |
| GMAC for a second of audio | {info["gmacs_per_second"]} |

{_scores(info)}
A T4 needs about {t4_s:.2f} s in float32 for a second of audio (computed, not measured); MDX-23 allows 1.57 s.

| imported file | SHA-256 |
|---|---|
{files}

Settings: `config.json`. Weights: `weights.safetensors`, float32. The network's output equals that of its authors'
code, up to rounding.
The weights keep the licence of their authors.
"""


def _scores(info: Mapping[str, Any]) -> str:
    if "published" not in info:
        return "No scores are known: the name is not one of `python -m models catalog`.\n"
    scores = info["published"]
    values = [*scores.values(), sum(scores.values()) / len(scores)]
    return f"""Scores that the authors published for the files of that source ({info["published_metric"]}, dB).
Bandsplit cannot tell whether these are the same files.

| {" | ".join([*scores, "mean"])} |
|{"---|" * len(values)}
| {" | ".join(f"{value:.2f}" for value in values)} |
"""
