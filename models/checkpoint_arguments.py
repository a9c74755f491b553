"""The arguments of the commands that make, fetch and list checkpoints."""

import argparse
from pathlib import Path

LAYOUTS = ("magronp", "crlandsc", "amanteur")
"""Names of `models.commands.import_weights.LAYOUTS`."""


def add_average_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``average``."""
    parser.add_argument(
        "checkpoints", nargs="+", metavar="NAME_OR_FOLDER", help="two or more of one network, from the same beginning"
    )
    parser.add_argument(
        "--validate", required=True, type=Path, metavar="DIR", help="data set or pack; its validation split is read"
    )
    parser.add_argument(
        "--out", required=True, metavar="NAME_OR_FOLDER", help="a name (then in checkpoints/), or a folder to make"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="e.g. separate.shifts=2")
    parser.add_argument("--device", help="cpu, cuda, ... (default: cpu)")


def add_import_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``import``."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="checkpoint files of one codebase, or a folder of them"
    )
    parser.add_argument(
        "--out", required=True, metavar="NAME_OR_FOLDER", help="a name (then in checkpoints/), or a folder to make"
    )
    parser.add_argument(
        "--format", default="auto", choices=("auto", *LAYOUTS), help="whose code wrote them (default: auto)"
    )
    parser.add_argument("--stems", metavar="A,B", help="names of the stems, if files and their names do not have them")


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """``list`` takes none."""


def add_catalog_arguments(parser: argparse.ArgumentParser) -> None:
    """``catalog`` takes none."""


def add_download_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``download``."""
    parser.add_argument("source", metavar="URL|NAME", help="a file, a Zenodo record, or a name of the catalog")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the files")
    parser.add_argument("--file", metavar="NAME", help="of a record, this file only; without it, its files are listed")
