"""The arguments of `render` and `sing`, which make music for training."""

import argparse
from pathlib import Path


def add_render_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``render``."""
    parser.add_argument("--midi", required=True, nargs="+", type=Path, metavar="DIR", help="folders of MIDI files")
    parser.add_argument(
        "--soundfont", required=True, nargs="+", type=Path, metavar="SF2", help="soundfonts; each track draws one"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the track folders")
    parser.add_argument("--variations", type=int, default=1, metavar="N", help="tracks of each song (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the variations (default 0)")
    parser.add_argument("--jobs", type=int, metavar="N", help="tracks at a time (default: one for each processor)")


def add_sing_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``sing``."""
    parser.add_argument(
        "--voices", required=True, nargs="+", type=Path, metavar="DIR", help="folders with UTAU voice banks (oto.ini)"
    )
    parser.add_argument(
        "--midi", required=True, nargs="+", type=Path, metavar="DIR", help="folders of MIDI files with a melody track"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the track folders")
    parser.add_argument("--lines", type=int, default=10, metavar="N", help="tracks of each voice (default 10)")
    parser.add_argument(
        "--recordings", type=int, default=30, metavar="N", help="recordings of each voice to sing with (default 30)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn (default 0)")
