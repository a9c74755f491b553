"""The options of `python -m benchmark run`, `separate`, `score`, `compare` and `training-speed`."""

import argparse
import math
from pathlib import Path
from typing import Any

from models.arguments import CLIPS, FORMATS
from models.running.arguments import positive


def add_keep_and_metrics(run: argparse.ArgumentParser) -> None:
    """Add the options of a run that say what is computed and kept."""
    run.add_argument(
        "--metrics",
        default="all",
        metavar="NAMES",
        help="comma-separated: log_wmse, mrstft, l1_freq, bleedless, fullness, silence; all, or none; the SDR's and"
        " SI-SAR are always computed (default: %(default)s)",
    )
    run.add_argument(
        "--keep-estimates",
        default="excerpts",
        choices=("excerpts", "flac", "none"),
        help="excerpts: the loudest 15 s of each track as mp3 for the report; flac: the whole estimates too, so that"
        " `score` needs no separation; none: nothing (default: %(default)s)",
    )


def add_degrade(run: argparse.ArgumentParser) -> None:
    """Add the option of a run for degraded mixtures."""
    run.add_argument(
        "--degrade",
        metavar="LIST",
        help="also run on degraded mixtures, and print what each degradation costs: comma-separated, of mp3:128k,"
        " aac:96k (kbit/s), clip:-3 (dB below the peak), loud:-8LUFS (gain and limiter), level:-20 (dB), mono,"
        " rate:22050 (Hz), noise:-50 (dB relative to the mixture)",
    )


def add_systems(command: argparse.ArgumentParser, default: str, bounds: str = "") -> None:
    """Add the options that name systems; the help begins with `bounds`."""
    command.add_argument(
        "--systems",
        default=default,
        help=f"comma-separated: {bounds}bsrnn, demucs, openunmix, these three also as KIND:CHECKPOINT,"
        " demucs:htdemucs (official), openunmix:umxhq (official), spleeter (2 stems, official), mdxnet (official),"
        " KIND:FOLDER (local files), msst:FOLDER (config.yaml and checkpoint of Music-Source-Separation-Training);"
        " default: %(default)s",
    )
    command.add_argument(
        "--system",
        action="append",
        default=[],
        metavar="NAME=MODULE:FACTORY",
        help="the object that FACTORY of MODULE returns, with separate(mixture, sample_rate); arguments follow as"
        " ?depth=3,kind=fast; NAME= may be left out; may be given again",
    )
    command.add_argument("--download", action="store_true", help="allow official weights to be downloaded")


def add_separate(commands: Any) -> None:
    """Declare `separate`."""
    separate = commands.add_parser("separate", help="separate songs that have no stems with several systems")
    separate.add_argument("inputs", nargs="+", type=Path, metavar="SONG", help="audio or video file, or a folder")
    add_systems(separate, "bsrnn")
    separate.add_argument("--out", required=True, type=Path, help="folder: OUT/SYSTEM/SONG/STEM; what is done is kept")
    separate.add_argument("--format", default="flac24", choices=FORMATS, help="of the stems (default: %(default)s)")
    separate.add_argument("--clip", choices=CLIPS, help="as of `python -m models separate`")
    separate.add_argument("--threads", type=positive, metavar="N", help="CPU threads (default: all)")
    separate.add_argument("--device", default="cpu", help="where the systems run: cpu, cuda, ... (default: cpu)")


def add_score(commands: Any) -> None:
    """Add the command `score`."""
    score = commands.add_parser("score", help="score the kept estimates of a run again, without separating")
    score.add_argument("folder", type=Path, metavar="DIR", help="the --out folder of a run with --keep-estimates flac")
    score.add_argument("--metrics", default="all", metavar="NAMES", help="as of `run` (default: %(default)s)")
    score.add_argument("--data", help="data set with the true stems (default: that of the run)")
    score.add_argument(
        "--frame",
        type=_seconds,
        metavar="SECONDS",
        help="length of the frames of cSDR, ISR, SIR, SAR (default: the run's)",
    )
    score.add_argument("--threads", type=positive, metavar="N", help="CPU threads (default: all)")


def add_compare(commands: Any) -> None:
    """Add the command `compare`."""
    compare = commands.add_parser(
        "compare", help="compare two systems track by track; exit code 1 where the second is worse"
    )
    compare.add_argument("first", metavar="A", help="folder of a run, or FOLDER:SYSTEM")
    compare.add_argument("second", metavar="B", help="the same; of two folders, systems of the same name are compared")
    compare.add_argument("--metric", default="sdr", help="as in summary.csv (default: %(default)s)")
    compare.add_argument(
        "--margin",
        type=float,
        default=0.1,
        metavar="M",
        help="B is worse only if it is by more than this, in the metric's unit (default: %(default)s)",
    )
    compare.add_argument("--plot", type=Path, metavar="FILE", help="write the forest plot (svg, png or pdf)")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.01 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"expected seconds from 0.01 to 3600, got {text!r}")
    return value


def add_training_speed(commands: Any) -> None:
    """Declare `training-speed`."""
    speed = commands.add_parser("training-speed", help="time training steps of presets, in turns, and their operators")
    speed.add_argument("--data", required=True, nargs="+", type=Path, metavar="DIR", help="data folders, or one pack")
    speed.add_argument(
        "--preset",
        action="append",
        required=True,
        metavar="NAME[?SETTING=VALUE&...]",
        help="a preset, with changed settings or as it is; several times to compare: --preset small --preset"
        " 'small?train.batch=16'",
    )
    speed.add_argument("--steps", type=positive, default=10, metavar="N", help="timed steps of each (default: 10)")
    speed.add_argument("--threads", type=positive, metavar="N", help="CPU threads (default: all)")
    speed.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    speed.add_argument(
        "--operators", type=positive, metavar="N", help="also name the N costliest operators of each (default: none)"
    )
