"""benchmark.parallel: several pairs at once give what the serial run gives, and a failure stays with its pair."""

import json
import os
import sys

import pytest

from benchmark.__main__ import main
from benchmark.parallel import measure_task, run_pairs
from benchmark.report import render
from benchmark.results import Failure, result_path
from benchmark.run import measure_pair, prepare, run
from benchmark.settings import Settings
from benchmark.source import Source
from benchmark.systems import resolve
from models.tracks import open_tracks


class Bar:
    """Counts."""

    count = 0

    def update(self, count):
        self.count += count

    def set_description(self, text):
        pass


def scores_of(out):
    return {path.relative_to(out): json.loads(path.read_text())["scores"] for path in out.glob("tracks/*/*.json")}


def test_pairs_at_once_give_the_serial_results_and_failures_stay_apart(hq_root, tmp_path):
    def crashing_task(source, track, *arguments):  # not a function of this module, which workers do not have
        if source.name == "mixture" and track.name.startswith("Nadir"):
            os._exit(1)
        return measure_task(source, track, *arguments)

    tracks = open_tracks(hq_root, "all")
    settings = Settings("cpu", 1, 0)
    sources = [resolve("mixture"), Source("broken", "Broken", "checkpoint", "/nothing", "", "1"), resolve("oracle")]
    pairs = [(source, track) for source in sources for track in tracks]
    bar = Bar()
    failures = run_pairs(pairs, tmp_path / "out", settings, 2, None, bar, crashing_task)
    assert bar.count == len(pairs)
    assert [failure for failure in failures if failure.system == "mixture"] == [
        Failure("mixture", "Nadir - Slow Tide", "its process ended (out of memory?)")
    ]
    (broken,) = (failure for failure in failures if failure.system == "broken")
    assert broken.track == "" and "/nothing" in broken.reason
    assert len(failures) == 2
    found = scores_of(tmp_path / "out")
    assert len(found) == 5

    for source in (sources[0], sources[2]):
        system, row = prepare(source, settings)
        for track in tracks:
            measure_pair(system, row, source, track, tmp_path / "serial", settings)
    serial = scores_of(tmp_path / "serial")
    assert len(serial) == 6 and found.items() <= serial.items()
    missing = [(sources[0], track) for track in tracks if track.name.startswith("Nadir")]
    measure_pair(*prepare(sources[0], settings), *missing[0], tmp_path / "out", settings, 2)
    tables = []
    for out in ("out", "serial"):  # all is there: nothing is measured again, and nothing starts
        results, failures = run([sources[0], sources[2]], tracks, tmp_path / out, settings)
        assert failures == []
        tables.append(render(results, [], "x", 3, settings).partition("**Cost**"))
    assert tables[0][0] == tables[1][0]
    assert "2 ran at once" in tables[0][2] and "ran at once" not in tables[1][2]


def test_jobs_share_the_processors_and_reach_the_run(hq_root, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("benchmark.__main__._num_cores", lambda: 8)
    monkeypatch.setattr("benchmark.run.run", lambda *arguments: seen.append(arguments) or ([], []))
    arguments = ["run", "--data", str(hq_root), "--systems", "mixture", "--out", str(tmp_path)]
    for options in ([], ["--jobs", "3"], ["--jobs", "9"], ["--address", "auto", "--threads", "5", "--museval"]):
        assert main([*arguments, *options]) == 0
    assert [(settings.threads, jobs, address) for *_, settings, _, jobs, address in seen] == [
        (8, None, None),
        (2, 3, None),
        (1, 9, None),
        (5, None, "auto"),
    ]
    assert [settings.scorer for *_, settings, _, _, _ in seen] == ["bandsplit"] * 3 + ["museval"]


def test_an_address_without_a_cluster_is_one_line(hq_root, tmp_path, monkeypatch, capsys):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "init", lambda **options: (_ for _ in ()).throw(ConnectionError("nobody\nthere")))
    arguments = ["run", "--data", str(hq_root), "--systems", "mixture", "--out", str(tmp_path), "--address", "auto"]
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error == "benchmark: --address auto: no Ray cluster answers there (nobody there)"


def test_a_cluster_of_smaller_machines_is_refused(monkeypatch, tmp_path):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "init", lambda **options: None)
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 2.0}}])
    with pytest.raises(ValueError, match="--threads 4: the largest machine of the cluster has 2 CPUs"):
        run_pairs([], tmp_path, Settings("cpu", 4), None, "somewhere:1", Bar())


def test_the_modules_of_the_task_can_be_found_where_it_runs(tmp_path, monkeypatch):
    from benchmark.parallel import _in_folder

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = tmp_path / "here"
    folder.mkdir()
    assert _in_folder(str(folder), lambda: (os.getcwd(), sys.path[0])) == (str(folder), str(folder))
    assert result_path(tmp_path, "a", "b").is_absolute()
