"""The arguments of `models train` for songs without stems. Imports nothing of ours, see `models.arguments`."""

import argparse
from pathlib import Path


def add_unlabelled_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``--unlabelled`` and what goes with it."""
    songs = parser.add_argument_group(
        "songs without stems",
        "the semi-supervised fine-tuning of the paper: a teacher labels the songs; the student begins with --init and"
        " replaces its teacher when validation improves",
    )
    songs.add_argument(
        "--unlabelled", nargs="+", type=Path, metavar="DIR", help="songs, and folders of them with all that is below"
    )
    songs.add_argument(
        "--teacher",
        nargs="+",
        metavar="[A,B=]NAME",
        help="a checkpoint's name or folder, or a folder of another system's estimates, as `models separate` or"
        " `benchmark run --keep-estimates` writes it; of several, the first that has a stem gives it; A,B= asks for"
        " these stems only (default: the checkpoint of --init)",
    )
    songs.add_argument(
        "--unlabelled-share",
        type=float,
        metavar="P",
        help="probability that a stem, or the rest of a mixture, comes from these songs (default 0.5)",
    )
