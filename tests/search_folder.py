"""The folder of a finished search with known results."""

from dataclasses import replace

from conftest import TINY
from models.training.record.track_scores import write_track_scores
from tuning.space.budget import Budget
from tuning.space.plan import Plan
from tuning.trials.records import FINISHED, Outcome, Trial, write_outcome, write_trial

GRID = {"model.bands": ("v1", "100:1k,1k:20k"), "model.hidden": ("8", "16")}
PLAN = Plan("tiny", TINY, GRID, Budget("steps", 4), "mean", 2, "fifo", "grid", 0, 2, "cpu", "3 tracks", ("run", "a b"))
MEANS = {("v1", "8"): 1.0, ("v1", "16"): 3.0, ("100:1k,1k:20k", "8"): 2.0, ("100:1k,1k:20k", "16"): 1.5}
COSTS = {"8": 1.0, "16": 2.0}


def write_search(out, spread=0.1, seeds=2, tracks=0):
    """Write four cells; the SDRs of their seeds are `spread` above and below the mean, in turn for cells and seeds.

    With `tracks`, each trial has scores of so many tracks, all 1 dB apart.
    """
    out.mkdir(exist_ok=True)
    replace(PLAN, seeds=seeds).save(out)
    for seed in range(seeds):
        for cell, ((bands, hidden), mean) in enumerate(MEANS.items()):
            trial = Trial(
                4 * seed + cell, {"model.bands": bands, "model.hidden": hidden}, seed, 1000 * int(hidden), COSTS[hidden]
            )
            write_trial(out, trial)
            sdr = mean + spread * (-1) ** (seed + cell + 1)
            metrics = {
                "sdr": sdr,
                "steps": 4,
                "train_minutes": 0.5,
                "wall_minutes": 1.0,
                "budget_used": 1.0,
                "rtf": 0.01,
            }
            write_outcome(out / trial.name, Outcome(FINISHED, metrics))
            rows = f"step,minutes,cpu_minutes,valid_sdr\n2,0.2,0.1,{sdr - 1}\n4,0.4,0.2,{sdr}\n"
            (out / trial.name / "metrics.csv").write_text(rows)
            for step, value in ((2, sdr - 1), (4, sdr)):
                scores = {f"track {n}": {"vocals": value + n - (tracks - 1) / 2} for n in range(tracks)}
                if scores:
                    write_track_scores(out / trial.name, step, scores)
