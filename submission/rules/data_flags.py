"""The data flags of `aicrowd.json`, from the training data that the checkpoints' configs name.

Leaderboard A takes models trained on the label-noise set only, B on the bleeding set only, C on any data.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from models.checkpoints.checkpoint import CARD, CONFIG
from models.training.data.origin import data_names

FLAGS = ("labelnoise", "bleeding", "external_dataset_used")


def read_info(folder: Path) -> dict[str, Any]:
    """How a checkpoint was trained: `info` of its `config.json`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or does not name the training data.
    """
    path = folder / CONFIG
    try:
        info = json.loads(path.read_text(encoding="utf-8"))["info"]
        data = info["training_data"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected info.training_data, got none ({type(error).__name__})") from None
    if not isinstance(data, str) or " from " not in data:
        raise ValueError(f"{path}: expected info.training_data like '97 tracks, 35.4 minutes, from NAME, NAME'")
    return info


def read_card(folder: Path) -> str | None:
    """The training data that a model card names; None if it has no such row, or there is no card."""
    try:
        text = (folder / CARD).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    row = re.search(r"^\| *training data *\| *(.+?) *\|$", text, re.MULTILINE)
    return row[1] if row else None


def flags(infos: Iterable[Mapping[str, Any]]) -> dict[str, bool]:
    """The data flags of weights, given the `info` of each checkpoint.

    The challenge's own sets have `labelnoise` or `bleeding` in their names. All other data are external. So are weights
    that training began with, since their training data are not known here.
    """
    found = dict.fromkeys(FLAGS, False)
    for info in infos:
        for name in data_names(info):
            plain = re.sub("[^a-z]", "", name.lower())
            kinds = [flag for flag in ("labelnoise", "bleeding") if flag in plain]
            found |= dict.fromkeys(kinds or ["external_dataset_used"], True)
        found["external_dataset_used"] |= info.get("began_with", "nothing") != "nothing"
    return found


def leaderboard(values: Mapping[str, bool]) -> str:
    """The strictest leaderboard that accepts weights with these flags: A, B or C."""
    return {(True, False, False): "A", (False, True, False): "B"}.get(
        (values["labelnoise"], values["bleeding"], values["external_dataset_used"]), "C"
    )


def check_board(board: str, infos: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse weights that a leaderboard does not take. C takes all.

    Args:
        board: A, B or C.
        infos: the `info` of each checkpoint, by its name.

    Raises:
        ValueError: names the first checkpoint that was trained on something else than the board's own set.
    """
    for name, info in infos.items():
        if board != "C" and leaderboard(flags([info])) != board:
            kind = {"A": "label-noise", "B": "bleeding"}[board]
            began_with = info.get("began_with", "nothing")
            also = f" and began with {began_with}" if began_with != "nothing" else ""
            raise ValueError(
                f"--board {board}: takes weights trained on the {kind} set alone, and {name} was trained on "
                f"{', '.join(data_names(info))}{also}; train others, or choose --board C"
            )
