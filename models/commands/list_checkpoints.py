"""The `list` command: the checkpoints that are installed, and what their model cards say of them.

python -m models list
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from models.checkpoints.checkpoint import CARD, CHECKPOINT_FOLDER, CONFIG, WEIGHTS, read_config
from models.macs import count_parameters, gmacs_per_second

_LICENCE = re.compile(r"^Licence of the weights: ([^,\n]+)", re.MULTILINE)
_TEST_SCORES = re.compile(r"^\| global SDR \|(.+)\|\s*$", re.MULTILINE)
_COLUMNS = ("name", "stems", "parameters", "size", "GMAC/s", "SDR, dB", "licence")


class Scores(NamedTuple):
    """What a model scored."""

    by_stem: dict[str, float]
    """dB of each stem."""
    what: str
    """The metric, and on what."""


def run(args: argparse.Namespace) -> int:
    """Print a line for each checkpoint in `checkpoints/`; a damaged one has its error there.

    Returns:
        The exit status 0.
    """
    folders = sorted(path.parent for path in CHECKPOINT_FOLDER.glob(f"*/{CONFIG}"))
    print(table([_row(folder) for folder in folders]))
    print("\nGMAC/s: multiply-accumulates for a second of stereo audio, in 10^9, repeated work included.")
    return 0


def table(rows: list[tuple[str, ...]]) -> str:
    """Rows under the columns' names, aligned; a row of two cells is a name and an error."""
    full = [row for row in rows if len(row) == len(_COLUMNS)]
    widths = [max(len(cell) for cell in column) for column in zip(_COLUMNS, *full, strict=True)]
    lines = []
    for row in [_COLUMNS, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join(cells if len(row) > 2 else [cells[0], row[1]]).rstrip())
    return "\n".join(lines)


def read_scores(card: str, info: Mapping[str, Any], stems: tuple[str, ...]) -> Scores | None:
    """A checkpoint's scores: of the test split, else its authors', else of validation tracks; None without any.

    Args:
        card: the model card, Markdown.
        info: of its `config.json`.
        stems: in the order of the card's tables.
    """
    if found := _TEST_SCORES.search(card):
        values = [float(cell) for cell in found[1].split("|")]
        if len(values) == len(stems) + 1:
            return Scores(dict(zip(stems, values, strict=False)), "test, global SDR")
    if "published" in info:
        return Scores(dict(info["published"]), f"published, {info['published_metric']}")
    if info.get("valid_sdr"):
        return Scores(dict(info["valid_sdr"]), "validation, global SDR")
    return None


def read_licence(card: str, info: Mapping[str, Any]) -> str:
    """The licence of a checkpoint's weights, or "none stated"."""
    found = _LICENCE.search(card)
    return str(info["licence"]) if "licence" in info else found[1].strip() if found else "none stated"


def _row(folder: Path) -> tuple[str, ...]:
    try:
        preset, info = read_config(folder / CONFIG)
        size_mb = (folder / WEIGHTS).stat().st_size / 1e6
        gmacs = info.get("gmacs_per_second") or gmacs_per_second(preset, overlapped=True)
        card = (folder / CARD).read_text(encoding="utf-8") if (folder / CARD).is_file() else ""
    except (OSError, ValueError) as error:
        return folder.name, " ".join(str(error).split())
    stems = tuple(preset.model.stems)
    return (
        folder.name,
        ", ".join(stems),
        f"{count_parameters(preset) / 1e6:.1f} M",
        f"{size_mb:.1f} MB",
        f"{gmacs:.1f}",
        _score_text(read_scores(card, info, stems)),
        read_licence(card, info),
    )


def _score_text(scores: Scores | None) -> str:
    if scores is None:
        return "not measured"
    values = scores.by_stem
    parts = [f"{stem} {value:.2f}" for stem, value in values.items()]
    if len(values) > 1:
        parts.append(f"mean {sum(values.values()) / len(values):.2f}")
    return f"{', '.join(parts)} ({scores.what})"
