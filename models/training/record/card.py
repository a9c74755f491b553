"""The model card that lies beside trained weights."""

import json
from typing import Any

from models.presets.preset import Preset


def model_card(preset: Preset, info: dict[str, Any]) -> str:
    """A checkpoint's README: what it is, what it was trained on, how long, and what validation says. Markdown."""
    stems = info["valid_sdr"]
    rows = "\n".join(
        f"| {name.replace('_', ' ')} | {_text(value)} |" for name, value in info.items() if name != "valid_sdr"
    )
    commands = "`python -m models train`" + (", averaged by `python -m models average`" if "mean_of" in info else "")
    return f"""# {info["name"]}

A network of the architecture {preset.architecture} for music source separation ({", ".join(preset.model.stems)}),
trained by {commands}.

| | |
|---|---|
{rows}

Global SDR on the validation tracks, mean over tracks, dB:

| {" | ".join([*stems, "mean"])} |
|{"---|" * (len(stems) + 1)}
| {" | ".join(f"{value:.2f}" for value in [*stems.values(), sum(stems.values()) / len(stems)])} |

Settings: `config.json`. Weights: `weights.safetensors`, float16.
They inherit the licence of the music they were trained on.
"""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.1f}" if isinstance(value, float) else json.dumps(value)
