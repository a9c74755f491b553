"""The command ``promote``: a preset and a checkpoint from a trial."""

import argparse

from tuning.promote import choose, parse_gmacs, promote
from tuning.space.grid import format_overrides
from tuning.space.plan import read_plan


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
