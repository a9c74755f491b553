"""The arguments of every command of `python -m models`. Imports neither torch nor a command: `--help` is quick."""

import argparse
from pathlib import Path

from models.audio.formats import NAMES as FORMATS
from models.running.arguments import positive
from models.running.precision import PRECISIONS
from models.tracks import STEMS
from models.unlabelled_arguments import add_unlabelled_arguments

PRESETS = sorted(path.stem for path in (Path(__file__).parent / "presets").glob("*.yaml"))
"""Names of the presets that ship."""
CLIPS = ("rescale", "clamp", "none")
"""Names of `models.songs.separate_song.CLIPS`."""
CORRUPTIONS = ("label-noise", "bleeding")
"""Names of `models.corruption.corrupt.KINDS`."""


def add_separate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the `separate` command."""
    parser.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="songs (wav, flac, ogg, mp3, m4a, mp4, ...), videos, and folders of them with all that is below",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("stems"),
        metavar="DIR",
        help="folder of the stems (default: stems): DIR/vocals.wav, ...; with several songs DIR/<song>/vocals.wav, ...;"
        " a folder's songs keep their place in its tree",
    )
    parser.add_argument(
        "--checkpoint",
        action="append",
        metavar="NAME_OR_FOLDER",
        help="a shipped checkpoint's name or a folder (default: small); given several times, the mean of their stems;"
        " or an ensemble's .yaml of `models ensemble`",
    )
    parser.add_argument("--onnx", type=Path, metavar="FILE", help="a graph of `models export` instead, without PyTorch")
    parser.add_argument("--stems", type=_comma_list, metavar="A,B", help="stems to write (default: all)")
    rest = parser.add_mutually_exclusive_group()
    rest.add_argument(
        "--two-stems", metavar="STEM", help="write this stem and its accompaniment, the mixture minus the stem"
    )
    rest.add_argument(
        "--residual", action="store_true", help="write the residual too: the mixture minus the stems that are written"
    )
    rest.add_argument(
        "--sum-to-mix", action="store_true", help="share the residual out, so that the stems sum to the mixture"
    )
    parser.add_argument(
        "--overlap",
        type=float,
        metavar="F",
        help="share of a chunk in common with the next (default: the checkpoint's)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a setting of the checkpoint, e.g. separate.segment_s=20",
    )
    parser.add_argument(
        "--one-at-a-time",
        action="store_true",
        help="memory of one network, for checkpoints that have one for each stem",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="what the network computes in; auto (default): bfloat16 on processors with instructions for it, which is"
        " faster, else float32",
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="wav16",
        help="default: wav16, which plays everywhere; wavfloat never clips; all but wav keep tags and cover",
    )
    parser.add_argument(
        "--clip",
        choices=CLIPS,
        help="samples beyond full scale: make all stems of the song quieter, cut the samples, or keep them"
        " (default: clamp, for wavfloat none)",
    )
    parser.add_argument(
        "--names",
        metavar="TEMPLATE",
        help='of the files, e.g. "{artist} - {title} ({stem})"; also {song}, {album}, {track}, and "/" for folders'
        " (default: {stem}, for several songs {song}/{stem})",
    )
    parser.add_argument("--jobs", type=positive, default=1, metavar="N", help="songs at a time (default 1)")
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="processor threads of a song (default: all, divided by the jobs)"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write a report in json: files, peaks, times, errors of each song"
    )


def add_ensemble_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `ensemble`."""
    parser.add_argument(
        "--validate",
        type=Path,
        required=True,
        metavar="DIR",
        help="data set or pack; only its validation split is read",
    )
    parser.add_argument(
        "--checkpoint",
        action="append",
        required=True,
        metavar="NAME_OR_FOLDER",
        help="a member: a shipped checkpoint's name or a folder; two or more of them",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.yaml", help="the ensemble's file, a new one")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``export``."""
    parser.add_argument("checkpoint", metavar="NAME_OR_FOLDER", help="a shipped checkpoint's name or a folder")
    parser.add_argument("--onnx", type=Path, required=True, metavar="FILE", help="the graph: waveform to stems")


def add_page_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``page``."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the page; serve it as it is")
    network = parser.add_mutually_exclusive_group()
    network.add_argument("--checkpoint", default="small", metavar="NAME_OR_FOLDER", help="to export (default: small)")
    network.add_argument("--onnx", type=Path, metavar="FILE", help="a graph of `models export` instead")
    text = "onnxruntime-web: the folder of its package, or npm to fetch it from the npm registry"
    parser.add_argument("--runtime", required=True, metavar="DIR|npm", help=text)


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``train``."""
    parser.add_argument(
        "--preset", help=f"{', '.join(PRESETS)}, or a .yaml file; default: that of --init, or of the run to resume"
    )
    _add_data_argument(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the run")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change one setting, e.g. train.lr=3e-4"
    )
    parser.add_argument("--stems", metavar="A,B", help="stems of your own, as their files are named: guitar,piano,rest")
    parser.add_argument(
        "--max-minutes", type=float, metavar="M", help="end this call after M minutes, with a checkpoint"
    )
    parser.add_argument("--resume", action="store_true", help="resume the run in --out")
    parser.add_argument("--init", metavar="CHECKPOINT", help="begin with these weights: a name that ships, or a folder")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes that make batches ahead")
    add_unlabelled_arguments(parser)


def add_prepare_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``prepare``."""
    _add_data_argument(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the pack")
    parser.add_argument(
        "--stems", default=",".join(STEMS), help=f"of each track, any names (default {','.join(STEMS)})"
    )
    parser.add_argument("--sample-rate", type=int, default=44100, metavar="HZ", help="of the pack (default 44100)")


def add_corrupt_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``corrupt``."""
    parser.add_argument(
        "--data", required=True, nargs="+", type=Path, metavar="DIR", help="MUSDB18, MUSDB18-HQ or track folders"
    )
    parser.add_argument("--kind", required=True, choices=CORRUPTIONS, help="what is wrong with the stems")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the corrupted data set")
    parser.add_argument("--seed", required=True, type=int, metavar="N", help="of all that is drawn")
    parser.add_argument(
        "--share",
        type=float,
        metavar="P",
        help="probability that a recording is labelled wrong (default 0.3), or that a stem bleeds (default 0.5)",
    )
    parser.add_argument(
        "--level-db", type=float, default=-10.0, metavar="DB", help="what bleeds, relative to the stem (default -10)"
    )


def add_clean_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``clean``."""
    parser.add_argument(
        "--data", required=True, nargs="+", type=Path, metavar="DIR", help="MUSDB18, MUSDB18-HQ or track folders"
    )
    parser.add_argument(
        "--checkpoint", required=True, metavar="NAME_OR_FOLDER", help="judges the stems: trained on the same data, say"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the cleaned data set")
    _add_strictness_arguments(parser)
    parser.add_argument(
        "--truth", type=Path, metavar="FILE.csv", help="compare with it (default: the truth.csv of the data folders)"
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")


def add_refine_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``refine``."""
    parser.add_argument("--preset", required=True, help=f"{', '.join(PRESETS)}, or a .yaml file")
    parser.add_argument("--data", required=True, nargs="+", metavar="DIR", help="data folders with dirty stems")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of all rounds")
    parser.add_argument("--minutes", required=True, type=float, metavar="M", help="length of each training")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="cleanings, each by the training before it")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change one setting of the trainings"
    )
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads of the trainings")
    _add_strictness_arguments(parser)


def _add_data_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        nargs="+",
        metavar="DIR",
        help="MUSDB18, MUSDB18-HQ, folders of track folders, or a pack (default: MUSDB_PATH)",
    )


def _add_strictness_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what decides how strict cleaning is."""
    parser.add_argument(
        "--stretch-s",
        type=float,
        default=4.0,
        metavar="S",
        help="length of the stretches that are judged and cut (default 4)",
    )
    parser.add_argument(
        "--worst",
        type=float,
        default=0.3,
        metavar="SHARE",
        help="share of the stems of each name that are taken for dirty: those in which the model hears least of their "
        "own (default 0.3; 0 keeps all)",
    )


def _comma_list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]
