"""A search on a cluster of a head and two workers on this machine, one of which is killed in the middle."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import SAMPLE_RATE, STEMS
from models.running.repository import ROOT
from models.training.data.packs import prepare_pack

PROGRAM = """
import json, os, sys, threading, time
from pathlib import Path

os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_memory_monitor_refresh_ms="0", RAY_worker_niceness="0")
from ray.cluster_utils import Cluster

from conftest import TINY
from tuning.space.budget import Budget
from tuning.space.grid import expand
from tuning.trials.halving import HalvingSource
from tuning.trials.on_ray import RaySettings, run_on_ray
from tuning.trials.order import Maker
from tuning.trials.trial import TrialRunner

pack, out, storage = map(Path, sys.argv[1:])
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 2**27})
workers = [cluster.add_node(num_cpus=1, object_store_memory=2**27) for _ in range(2)]

def kill_a_worker():
    begun = (storage, "*/trial-*/*/last.pt") if storage.exists() else (out, "trial-*/last.pt")
    while len(list(begun[0].glob(begun[1]))) < 2:
        time.sleep(0.05)
    completed.append(source.is_complete)
    cluster.remove_node(workers[0], allow_graceful=False)

completed = []
cells, _ = expand(TINY, {"train.lr": ("0.01", "0.003", "1e-9", "2e-9")})
rungs = (20.0, 40.0)
runner = TrialRunner(TINY, Budget("steps", 40), "mean", pack, out, "cpu", 1, 2, rungs=rungs)
source = HalvingSource(cells, Maker(cells, [(1000, 0.1)] * 4, (0,), out, 40.0), rungs, 2)
place = str(storage) if storage.exists() else None
settings = RaySettings(cluster.address, cpus=1, gpus=0, concurrent=0, retries=3, asha=False, storage=place)
killer = threading.Thread(target=kill_a_worker)
killer.start()
run_on_ray(runner, source, settings, lambda *_: None, lambda *_: None)
killer.join()
print(json.dumps([*completed, source.is_complete]))
cluster.shutdown()
"""


@pytest.mark.slow
@pytest.mark.parametrize("shares_disk", [True, False])
def test_a_worker_that_is_killed_costs_no_trial(hq_root: Path, tmp_path: Path, monkeypatch, shares_disk):
    """Without a shared disk, workers have folders of their own and meet in the storage alone."""
    storage = tmp_path / "storage"
    if not shares_disk:
        storage.mkdir()
        (tmp_path / "local").mkdir()
        monkeypatch.setenv("TMPDIR", str(tmp_path / "local"))
        monkeypatch.setenv("RAY_TMPDIR", "/tmp")  # sockets need short paths
    pack, out = prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE), tmp_path / "out"
    paths = f"import sys; sys.path.append({str(ROOT / 'tests')!r})\n"
    command = [sys.executable, "-c", paths + PROGRAM, str(pack.folder), str(out), str(storage)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "[false, true]" in done.stdout.splitlines()  # when the worker was killed, and at the end
    (rung,) = json.loads((out / "rungs.json").read_text())
    assert rung["kept"] == ["train.lr=0.01", "train.lr=0.003"]
    outcomes = [json.loads(path.read_text()) for path in sorted(out.glob("trial-*/outcome.json"))]
    assert [outcome["status"] for outcome in outcomes] == ["finished", "finished", "stopped early", "stopped early"]
    assert [outcome["metrics"]["steps"] for outcome in outcomes] == [40, 40, 20, 20]
    assert bool(list((tmp_path / "local").glob("bandsplit-search-*/trials/trial-*"))) != shares_disk
