"""benchmark.runs.process: a system may start processes, a crash is reported with its cause, and all processes end."""

import time
from pathlib import Path

import pytest

from benchmark.provenance.weights import Source
from benchmark.runs.process import DONE, FAILED, UNUSABLE, Failures, MeasuringProcess
from benchmark.runs.settings import Settings
from benchmark.runs.store import Failure
from benchmark_fakes import ORIGIN, fake_source, make_pair
from models.tracks import open_tracks

SETTINGS = Settings("cpu", 1)


@pytest.fixture
def track(hq_root):
    (found,) = open_tracks(hq_root, "test")
    return found


def users(name):
    return Source(name, name, "python", f"separator_fakes:{name}", "", "1")


def is_alive(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
def test_a_users_system_may_start_processes(track, tmp_path):
    with MeasuringProcess(users("Parent"), tmp_path, SETTINGS, ORIGIN) as process:
        assert process.measure(make_pair(users("Parent"), track)) == (DONE, "")


@pytest.mark.slow
def test_a_crash_is_reported_while_a_started_process_holds_the_pipe_and_all_are_ended(track, tmp_path, monkeypatch):
    monkeypatch.setenv("PID_FILE", str(tmp_path / "pid"))
    with MeasuringProcess(users("Orphans"), tmp_path, SETTINGS, ORIGIN) as process:
        kind, reason = process.measure(make_pair(users("Orphans"), track))
    assert (kind, reason) == (FAILED, "its process was ended by signal 11 (SIGSEGV)")
    until = time.monotonic() + 5
    while is_alive(int((tmp_path / "pid").read_text())) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_other_code_than_the_runs_is_refused(track, tmp_path):
    pair = make_pair(users("Halves"), track)
    pair.key["code"] = "another"
    with MeasuringProcess(users("Halves"), tmp_path, SETTINGS, ORIGIN) as process:
        kind, reason = process.measure(pair)
    assert kind == UNUSABLE and "expected the code and packages that the run began with, got others: our code" in reason


def test_a_system_that_cannot_be_loaded_is_given_up(track):
    pair, failures = make_pair(fake_source(), track), Failures()
    failures.note(pair, (DONE, ""))
    failures.note(pair, (FAILED, "too quiet"))
    assert not failures.gave_up(pair.source)
    failures.note(pair, (UNUSABLE, "no weights"))
    failures.note(pair, (UNUSABLE, "no weights"))
    assert failures.gave_up(pair.source)
    assert failures == [Failure("fake", track.name, "too quiet"), Failure("fake", "", "no weights")]
