"""The arguments of every command of `python -m tuning`. Imports neither torch nor a command: `--help` is quick."""

import argparse
from pathlib import Path

from models.running.processors import num_cpus

SPACES = sorted(path.stem for path in (Path(__file__).parent / "space/spaces").glob("*.yaml"))
"""Names of the spaces that ship."""
RETRIES = 3
"""How often a trial whose worker died starts anew."""


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``run``."""
    parser.add_argument("--preset", default="small", help="preset name or yaml file that the search varies")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change one setting of all trials"
    )
    parser.add_argument(
        "--space", action="append", default=[], metavar="NAME", help=f"{', '.join(SPACES)}, or a .yaml file"
    )
    parser.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="KEY=A,B",
        help="the values of one setting; with optuna also a range, train.lr='log 1e-4..1e-2'",
    )
    parser.add_argument("--budget", required=True, metavar="steps=N|minutes=M|flops=X", help="the budget of each trial")
    parser.add_argument("--metric", default="mean", metavar="STEM", help="validation SDR of mean (default) or a stem")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="trials of each cell (default 1)")
    parser.add_argument("--validations", type=int, default=4, metavar="N", help="validations of each trial (default 4)")
    parser.add_argument(
        "--scheduler",
        default="fifo",
        metavar="fifo|asha|halving",
        help="asha stops bad trials early; halving gives the whole budget to the best cells alone",
    )
    parser.add_argument(
        "--eta", type=int, default=3, metavar="N", help="halving: one cell in N goes on, to N times the budget"
    )
    parser.add_argument(
        "--rungs", type=int, default=0, metavar="N", help="halving: rungs (default: until at most --eta cells are left)"
    )
    parser.add_argument(
        "--search", default="grid", metavar="grid|optuna", help="every cell, or the cells that Optuna suggests"
    )
    parser.add_argument(
        "--objectives",
        default="sdr",
        metavar="sdr|sdr,gmacs",
        help="optuna: the best SDR, or the best SDR at each cost (default sdr)",
    )
    parser.add_argument("--trials", type=int, default=0, metavar="N", help="number of trials for --search optuna")
    parser.add_argument("--data", nargs="+", type=Path, metavar="DIR", help="data folders, or a pack")
    parser.add_argument("--out", type=Path, metavar="DIR", help="new folder for trials and results")
    going_on = parser.add_mutually_exclusive_group()
    going_on.add_argument("--resume", action="store_true", help="continue the search in --out")
    going_on.add_argument(
        "--extend", action="store_true", help="continue it with a larger budget, or more seeds, values or trials"
    )
    parser.add_argument("--dry-run", action="store_true", help="only list the trials")
    parser.add_argument("--backend", default="ray", metavar="ray|local", help="local: in this process, one by one")
    parser.add_argument("--address", metavar="ADDRESS", help="a running Ray cluster, or auto for this machine's")
    parser.add_argument(
        "--storage",
        metavar="DIR|URI",
        help="where a cluster's machines exchange data and trials if they do not share --out, such as s3://bucket/path",
    )
    parser.add_argument("--cpus-per-trial", type=int, default=1, metavar="N", help="torch threads of a trial")
    parser.add_argument(
        "--gpus-per-trial",
        type=float,
        metavar="N",
        help="0.5: two trials share one (default: 1 with a GPU, else 0)",
    )
    parser.add_argument("--concurrent", type=int, default=0, metavar="N", help="at most N trials at the same time")
    parser.add_argument(
        "--retries", type=int, metavar="N", help=f"new starts of a trial whose worker died (default {RETRIES})"
    )
    _add_log_argument(parser)


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``report``."""
    parser.add_argument("dir", type=Path, metavar="DIR", help="folder of the search")
    parser.add_argument(
        "--at", type=float, metavar="AMOUNT", help="compare all trials that reached this part of the budget, at it"
    )
    _add_log_argument(parser)


def add_merge_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``merge``."""
    parser.add_argument("dirs", type=Path, nargs="+", metavar="DIR", help="folders of searches")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder for all their trials")


def add_promote_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``promote``."""
    parser.add_argument("dir", type=Path, metavar="DIR", help="folder of the search")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--best", action="store_true", help="the best seed of the cell with the best mean")
    which.add_argument(
        "--pareto-under", metavar="XGMAC", help="the same among the cells of at most this cost, such as 2GMAC"
    )
    which.add_argument("--trial", type=int, metavar="N", help="the trial of this number")
    parser.add_argument("--name", help="of the preset and the checkpoint (default: the folder's name)")


def add_ablate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``ablate``."""
    parser.add_argument("file", type=Path, help="the rows to train, see tuning/ablation/ablation.yaml")
    parser.add_argument("--data", nargs="+", required=True, type=Path, metavar="DIR", help="data folders, or a pack")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder of the runs; existing runs are resumed"
    )
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="runs of each row (default 1)")
    parser.add_argument("--jobs", type=int, default=num_cpus(), metavar="N", help="runs at the same time")


def _add_log_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log", metavar="wandb|mlflow", help="log the finished trials there too, if it is installed")
