"""The command ``promote``: a preset and a checkpoint from a trial."""

import argparse
from pathlib import Path

from tuning.promote import choose, parse_gmacs, promote
from tuning.space.grid import format_overrides
from tuning.space.plan import read_plan


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


def promote_trial(options: argparse.Namespace) -> int:
    """Write the chosen trial of a search as a preset and a checkpoint.

    Raises:
        ValueError: no such trial, or the name is taken.
        FileNotFoundError: the folder holds no search.
    """
    plan = read_plan(options.dir)
    limit = parse_gmacs(options.pareto_under) if options.pareto_under else None
    trial = choose(options.dir, options.trial, limit)
    name = options.name or options.dir.resolve().name.lower()
    done = promote(options.dir, plan, trial, name)
    print(f"trial {trial.index} ({format_overrides(trial.overrides)}, seed {trial.seed}): {done.preset}")
    print(f"its weights: {done.checkpoint}")
    print(f"compare it: python -m benchmark run --systems bsrnn:{name} --data DIR --out out/{name}")
    return 0
