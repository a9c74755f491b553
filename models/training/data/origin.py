"""Where the music of a data folder comes from, in the words that model cards use."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.running.atomic import write_text

ORIGIN = "origin.txt"
"""Lies in a data folder that was made out of others, and names what its music is, separated by commas."""


def read_origin(root: Path) -> str:
    """What a data folder's music is: its ``origin.txt``, else the folder's own name.

    Raises:
        ValueError: the file is empty, or not a line of text.
    """
    path = root / ORIGIN
    if not path.is_file():
        return os.path.basename(os.path.abspath(root)) or str(root)
    try:
        text = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        raise ValueError(f"{path}: expected one line that says where the music is from; make the data set again")
    return text


def write_origin(root: str | os.PathLike[str], names: list[str]) -> None:
    """Write ``origin.txt``: names of data sets, each once."""
    text = ", ".join(dict.fromkeys(names)) + "\n"
    write_text(Path(root) / ORIGIN, text)


def data_names(info: Mapping[str, Any]) -> list[str]:
    """Names of the data sets that a checkpoint's ``info.training_data`` tells, "97 tracks, 35 minutes, from A, B"."""
    return [name.strip() for name in str(info["training_data"]).split(" from ", 1)[1].split(",")]
