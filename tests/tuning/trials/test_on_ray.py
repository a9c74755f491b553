"""Trials on Ray: the same rows as without it, workers that are killed go on, and losers are stopped early.

One Ray session serves all: the backend takes the one there is.
"""

import contextlib
import os
import signal
import threading
import time
import warnings
from dataclasses import replace

import pytest

from conftest import SAMPLE_RATE, STEMS, TINY
from models.running.ray_session import ray_session
from models.training.data.packs import prepare_pack
from tuning.space.budget import Budget
from tuning.space.grid import expand
from tuning.trials.halving import HalvingSource, read_rungs
from tuning.trials.local import run_here
from tuning.trials.on_ray import RaySettings, run_on_ray
from tuning.trials.order import GridSource, Maker
from tuning.trials.records import FAILED, FINISHED, STOPPED, read_outcome, read_rows
from tuning.trials.trial import TrialRunner

SETTINGS = RaySettings(None, cpus=1, gpus=0, concurrent=0, retries=1, asha=False)


@pytest.fixture(scope="session")
def two_cpus():
    """Ray for two trials at once."""
    with contextlib.ExitStack() as held:
        with warnings.catch_warnings(action="ignore"):
            held.enter_context(ray_session(None, num_cpus=2))
        yield


def search(root, folder, grid, budget):
    """A runner, and the source of its trials."""
    pack = prepare_pack([root], folder / "pack", STEMS, SAMPLE_RATE)
    runner = TrialRunner(TINY, budget, "mean", pack.folder, folder / "out", "cpu", 1, 2)
    cells, _ = expand(TINY, grid)
    return runner, GridSource(cells, Maker(cells, [(1000, 0.1)] * len(cells), (0,), folder / "out"))


def test_on_ray_a_failed_trial_does_not_stop_the_others_and_a_killed_worker_is_resumed(two_cpus, hq_root, tmp_path):
    runner, source = search(hq_root, tmp_path, {"train.lr": ("0.01", "1e30")}, Budget("steps", 40))
    folder = runner.out / "trial-000"

    def kill_worker():
        while not (folder / "last.pt").exists():
            time.sleep(0.02)
        os.kill(int((folder / "lock").read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill_worker)
    killer.start()
    ended, shares = {}, []
    run_on_ray(
        runner,
        source,
        SETTINGS,
        lambda trial, share: shares.append(share),
        lambda trial, outcome: ended.update({trial.index: outcome}),
    )
    killer.join()
    assert ended == {index: read_outcome(runner.out / f"trial-{index:03d}") for index in (0, 1)}
    assert (ended[0].status, ended[1].status) == (FINISHED, FAILED)
    assert "FloatingPointError" in ended[1].error
    assert len((folder / "calls.jsonl").read_text().splitlines()) == 2
    assert ended[0].metrics["steps"] == 40 and max(shares) == 1
    assert ended[0].metrics["budget_used"] == 1
    here = replace(runner, out=tmp_path / "here")
    alone = here(source_trial(runner), lambda *_: None)
    assert ended[0].metrics["sdr"] == pytest.approx(alone.metrics["sdr"], rel=0.05)
    too_large = replace(SETTINGS, cpus=64)
    with pytest.raises(ValueError, match="no machine has 64 CPUs and 0 GPUs"):
        run_on_ray(runner, source, too_large, lambda *_: None, lambda *_: None)


def source_trial(runner):
    from tuning.trials.records import read_trials

    return read_trials(runner.out)[0]


@pytest.mark.slow
def test_asha_stops_worse_trials_at_the_same_share_of_the_budget(two_cpus, hq_root, tmp_path):
    grid = {"train.lr": ("0.01", "1e-9", "1e-8", "2e-9")}
    runner, source = search(hq_root, tmp_path, grid, Budget("steps", 40))
    settings = replace(SETTINGS, asha=True, concurrent=1)
    run_on_ray(runner, source, settings, lambda *_: None, lambda *_: None)
    outcomes = [read_outcome(runner.out / f"trial-{index:03d}") for index in range(4)]
    assert outcomes[0].status == FINISHED
    assert STOPPED in {outcome.status for outcome in outcomes[1:]}
    stopped = next(outcome for outcome in outcomes if outcome.status == STOPPED)
    assert stopped.metrics["budget_used"] < 1 and stopped.is_over


@pytest.mark.slow
def test_halving_on_ray_decides_as_in_one_process(two_cpus, hq_root, tmp_path):
    """Two trials run at once, so a rung waits for its last one; a worker that is killed goes on in its rung."""
    pack = prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)
    cells, _ = expand(TINY, {"train.lr": ("0.01", "0.003", "1e-9", "2e-9")})
    rungs = (8.0, 16.0)

    def halve(folder, train):
        runner = TrialRunner(TINY, Budget("steps", 16), "mean", pack.folder, folder, "cpu", 1, 1, rungs=rungs)
        source = HalvingSource(cells, Maker(cells, [(1000, 0.1)] * 4, (0,), folder, 16), rungs, 2)
        train(runner, source)
        assert source.is_complete
        steps = [read_outcome(folder / f"trial-{index:03d}").metrics["steps"] for index in range(4)]
        return read_rungs(folder), steps, [len(read_rows(folder / f"trial-{index:03d}")) for index in range(4)]

    def kill_worker():
        folder = tmp_path / "ray" / "trial-000"
        while not (folder / "lock").exists() or not (folder / "metrics.csv").exists():
            time.sleep(0.02)
        os.kill(int((folder / "lock").read_text()), signal.SIGKILL)

    here = halve(tmp_path / "here", lambda runner, source: run_here(runner, source, lambda *_: None, lambda *_: None))
    killer = threading.Thread(target=kill_worker)
    killer.start()
    on_ray = halve(
        tmp_path / "ray", lambda runner, source: run_on_ray(runner, source, SETTINGS, lambda *_: None, lambda *_: None)
    )
    killer.join()
    assert here[0][0].kept == on_ray[0][0].kept == ("train.lr=0.01", "train.lr=0.003")
    assert here[0][0].scores == pytest.approx(on_ray[0][0].scores) and here[1:] == on_ray[1:]
    assert here[1] == [16, 16, 8, 8]
