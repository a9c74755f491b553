"""benchmark.run: no failure takes others with it, and what is finished is never repeated."""

import os
import signal
import types
from pathlib import Path

import pytest

from benchmark import run as run_module
from benchmark.results import Failure, result_path
from benchmark.run import run, work
from benchmark.systems import resolve
from benchmark_fakes import SETTINGS, Fake, Messages, damage, fake_source, run_here
from models.tracks import open_tracks


@pytest.fixture
def tracks(hq_root):
    return open_tracks(hq_root, "all")


def test_a_failing_track_is_named_and_the_others_are_kept(tracks, tmp_path, monkeypatch, capsys):
    calls = []

    def fail_at_the_second(estimates):  # the first call warms up
        calls.append(1)
        return damage("nan" if len(calls) == 3 else "raise")(estimates) if len(calls) in (3, 4) else estimates

    messages = run_here(monkeypatch, Fake(change=fail_at_the_second), fake_source(), tracks, tmp_path)
    assert [message[0] for message in messages] == ["start", "done", "start", "failed", "start", "failed"]
    assert messages[3][1:] == (tracks[1].name, "Fake returned bass with NaN or infinite samples")
    assert messages[5][1:] == (tracks[2].name, "RuntimeError: a fault of two lines")
    assert "Traceback" in capsys.readouterr().err  # of the fault that is not the user's
    kept = list(tmp_path.glob("tracks/fake/*"))
    assert kept == [result_path(tmp_path, "fake", tracks[0].name)]


def test_a_system_that_cannot_be_loaded_is_unusable(tracks, tmp_path, monkeypatch):
    def load(source, device):
        raise ValueError("its weights are damaged")

    monkeypatch.setattr(run_module, "load", load)
    messages = Messages()
    work(messages, fake_source(), tracks, tmp_path, SETTINGS)
    assert messages == [("unusable", "its weights are damaged")]


def crash_at_the_second_track(connection, source, tracks, out, settings):
    """Takes the place of `work` in a child process: finishes a track, then is killed as a lack of memory would."""
    result_file = result_path(out, source.name, tracks[0].name)
    if not result_file.parent.exists():
        connection.send(("start", tracks[0].name))
        result_file.parent.mkdir(parents=True)
        connection.send(("done", tracks[0].name))
        connection.send(("start", tracks[1].name))
        os.kill(os.getpid(), signal.SIGKILL)
    for track in tracks:
        connection.send(("start", track.name))
        connection.send(("done", track.name))


def crash_at_once(connection, source, tracks, out, settings):
    """Takes the place of `work`: ends before it says anything."""
    os._exit(3)


def test_a_crash_loses_the_track_in_hand_and_no_more(tracks, tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "work", crash_at_the_second_track)
    bar = types.SimpleNamespace(update=lambda count: done.append(count))
    done: list[int] = []
    failures = run_module._run_system(fake_source(), tracks, tmp_path, SETTINGS, bar)
    assert failures == [Failure("fake", tracks[1].name, "the process ended with signal 9 (out of memory?)")]
    assert sum(done) == len(tracks)
    monkeypatch.setattr(run_module, "work", crash_at_once)
    (failure,) = run_module._run_system(fake_source(), tracks, tmp_path, SETTINGS, bar)
    assert failure == Failure("fake", "", "the process ended with exit code 3")


def test_a_run_resumes(tracks, tmp_path):
    sources = [resolve("mixture")]
    results, failures = run(sources, tracks[:1], tmp_path, SETTINGS)
    assert failures == [] and [result["key"]["track"] for result in results] == [tracks[0].name]
    path = result_path(tmp_path, "mixture", tracks[0].name)
    before = path.stat().st_mtime_ns
    again, _ = run(sources, tracks[:1], tmp_path, SETTINGS)
    assert again == results and path.stat().st_mtime_ns == before
    assert not list(Path(tmp_path).rglob("*.part"))
