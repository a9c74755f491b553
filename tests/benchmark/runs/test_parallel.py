"""benchmark.runs.parallel: pairs at a time give the results of a serial run; a failure affects only its pair."""

import json
import os
import sys

import pytest

from benchmark.__main__ import main
from benchmark.provenance.weights import Source
from benchmark.runs.pair import Origin
from benchmark.runs.parallel import run_pairs
from benchmark.runs.serial import run_pairs as run_pairs_in_turn
from benchmark.runs.settings import Settings
from benchmark.runs.store import Failure, result_path
from benchmark.systems.catalog import resolve
from benchmark_fakes import ORIGIN, Bar, make_pair
from models.tracks import open_tracks


def scores_of(out):
    return {path.relative_to(out): json.loads(path.read_text())["scores"] for path in out.glob("tracks/*/*/*.json")}


@pytest.mark.slow
def test_pairs_at_once_give_the_serial_results_and_failures(hq_root, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # where the workers find the user's separator
    tracks = open_tracks(hq_root, "all")[:1]
    settings = Settings("cpu", 1, 0)
    killed = Source("killed", "Killed", "python", "separator_fakes:Killed", "", "1")
    broken = Source("broken", "Broken", "checkpoint", "/nothing", "", "1")
    pairs = [make_pair(source, track, settings) for source in (resolve("oracle"), killed, broken) for track in tracks]
    found = {}
    for out in ("parallel", "serial"):
        bar = Bar()
        if out == "parallel":
            failures = run_pairs(pairs, tmp_path / out, settings, ORIGIN, bar, 2, None)
        else:
            failures = run_pairs_in_turn(pairs, tmp_path / out, settings, ORIGIN, bar)
        assert bar.count == len(pairs)
        found[out] = sorted(failures, key=lambda failure: (failure.system, failure.track))
    why = "its process was ended by signal 9 (SIGKILL), perhaps by the kernel for lack of memory"
    assert found["parallel"] == found["serial"]
    assert [failure for failure in found["serial"] if failure.system == "killed"] == [
        Failure("killed", name, why) for name in sorted(track.name for track in tracks)
    ]
    (lost,) = [failure for failure in found["serial"] if failure.system == "broken"]
    assert lost.track == "" and "/nothing" in lost.reason
    serial, parallel = (scores_of(tmp_path / out) for out in ("serial", "parallel"))
    assert len(serial) == 1 and serial == parallel
    jobs = {json.loads(path.read_text())["measured"]["jobs"] for path in (tmp_path / "parallel").glob("tracks/*/*/*")}
    assert jobs == {2}


def test_jobs_share_the_processors_and_reach_the_run(hq_root, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("benchmark.__main__.num_cpus", lambda: 8)
    monkeypatch.setattr("benchmark.runs.run.run", lambda *arguments: seen.append(arguments) or ([], []))
    arguments = ["run", "--data", str(hq_root), "--systems", "mixture", "--out", str(tmp_path)]
    for options in ([], ["--jobs", "3"], ["--jobs", "9"], ["--address", "auto", "--threads", "5", "--museval"]):
        assert main([*arguments, *options]) == 0
    assert [(settings.threads, jobs, address) for *_, settings, _, jobs, address, _, _, _ in seen] == [
        (8, None, None),
        (2, 3, None),
        (1, 9, None),
        (5, None, "auto"),
    ]
    assert [settings.scorer for *_, settings, _, _, _, _, _, _ in seen] == ["bandsplit"] * 3 + ["museval"]
    assert seen[1][-3].startswith("python -m benchmark run --data ") and seen[1][-3].endswith("--jobs 3")


def test_an_address_without_a_cluster_is_one_line(hq_root, tmp_path, monkeypatch, capsys):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "init", lambda **options: (_ for _ in ()).throw(ConnectionError("nobody\nthere")))
    arguments = ["run", "--data", str(hq_root), "--systems", "mixture", "--out", str(tmp_path), "--address", "auto"]
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    reason = "no Ray cluster answers there (nobody there); start one with `ray start --head`"
    assert error == f"benchmark: --address auto: {reason}"


def test_a_cluster_of_smaller_machines_is_refused(monkeypatch, tmp_path):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr("models.running.ray_session.check_address", lambda address: None)
    monkeypatch.setattr(ray, "init", lambda **options: None)
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 2.0}}])
    with pytest.raises(ValueError, match="--threads 4: the largest machine of the cluster has 2 CPUs"):
        run_pairs([], tmp_path, Settings("cpu", 4), Origin(), Bar(), None, "somewhere:1")


def test_the_modules_of_the_task_can_be_found_where_it_runs(tmp_path, monkeypatch):
    from benchmark.runs.parallel import _in_folder

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = tmp_path / "here"
    folder.mkdir()
    assert _in_folder(str(folder), lambda: (os.getcwd(), sys.path[0])) == (str(folder), str(folder))
    assert result_path(tmp_path, "a", "test", "b").is_absolute()
