"""benchmark.run: results are kept whole, reused only when nothing changed, and no failure takes others with it."""

import json
import math
import os
import signal
import types
from pathlib import Path

import numpy as np
import pytest

from benchmark import run as run_module
from benchmark.oracle import IdealRatioMask
from benchmark.run import Failure, Settings, measure, read_result, result_key, result_path, run, safe_name, work
from benchmark.source import Source
from benchmark.systems import Mixture, resolve
from models.metrics import csdr, frame_sdr, global_sdr
from models.tracks import STEMS, open_tracks

SETTINGS = Settings("cpu", 1)


@pytest.fixture
def tracks(hq_root):
    return open_tracks(hq_root, "all")


class Fake:
    """Returns noisy halves of the mixture, or whatever `change` makes of them."""

    sample_rate = None
    parameters = 7

    def __init__(self, stems=STEMS, change=None):
        self.stems = stems
        self._change = change or (lambda estimates: estimates)

    def separate(self, mixture, sample_rate=None):
        return self._change({stem: mixture * np.float32(0.5) for stem in self.stems})


class Messages(list):
    """Stands for the connection of a child process."""

    send = list.append


def fake_source(name="fake", digest="1"):
    return Source(name, "Fake", "fake", "", "fake@1", digest)


def run_here(monkeypatch, system, source, tracks, out):
    monkeypatch.setattr(run_module, "load", lambda source, device: system)
    messages = Messages()
    work(messages, source, tracks, out, SETTINGS)
    return messages


def test_scores_are_those_of_the_metrics(tracks):
    track = tracks[0]
    result = measure(Fake(), track, "Fake")
    references = np.stack(list(track.read_stems().values()))
    estimates = np.stack([track.read_mixture() * np.float32(0.5)] * 4)
    scores = result["scores"]
    frames = frame_sdr(references, estimates, 44100)
    assert scores["num_frames"] == 3 and scores["nan_frames"] == 0
    for index, stem in enumerate(STEMS):
        assert scores["sdr"][stem] == global_sdr(references, estimates)[index]
        assert scores["csdr"][stem] == csdr(frames)[index]
        assert scores["frames"][stem] == frames[index].tolist()
    assert result["duration_s"] == 3.0 and result["separate_s"] > 0 and result["score_s"] > 0
    assert 2**20 < result["peak_memory_bytes"] < 2**40


def test_the_oracle_knows_the_stems(tracks):
    scores = measure(IdealRatioMask(), tracks[0], "oracle")["scores"]
    mixture = measure(Mixture(), tracks[0], "mixture")["scores"]
    assert all(scores["sdr"][stem] > mixture["sdr"][stem] + 5 for stem in STEMS)


def test_a_system_of_some_stems_is_scored_on_those(tracks):
    scores = measure(Fake(("vocals", "piano")), tracks[0], "Fake")["scores"]
    assert scores["stems"] == ["vocals"] and set(scores["sdr"]) == {"vocals"}


def damage(kind):
    def change(estimates):
        if kind == "nan":
            estimates["bass"][0, 5] = np.nan
        elif kind == "length":
            estimates["bass"] = estimates["bass"][:, 1:]
        else:
            raise RuntimeError("a fault\nof two lines")
        return estimates

    return change


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("nan", "Fake returned bass with NaN or infinite samples"),
        ("length", r"Fake returned bass of shape \(2, 132299\): expected \(2, 132300\)"),
    ],
)
def test_a_wrong_estimate_is_refused(tracks, kind, reason):
    with pytest.raises(ValueError, match=reason):
        measure(Fake(change=damage(kind)), tracks[0], "Fake")


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


def test_results_are_strict_json_and_read_back_equal(tracks, tmp_path, monkeypatch):
    def change(estimates):
        estimates["drums"][:, :44100] = 0  # a NaN frame
        return estimates

    run_here(monkeypatch, Fake(change=change), fake_source(), tracks[:1], tmp_path)
    path = result_path(tmp_path, "fake", tracks[0].name)
    raw = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert raw["scores"]["frames"]["vocals"][0] is None and raw["scores"]["nan_frames"] == 1
    result = read_result(path, result_key(fake_source(), tracks[0], SETTINGS))
    assert math.isnan(result["scores"]["frames"]["vocals"][0]) and math.isfinite(result["scores"]["csdr"]["vocals"])
    infinite = {"a": [math.inf, -math.inf, math.nan, 1.5]}
    written = json.dumps(run_module._to_json(infinite), allow_nan=False)
    assert str(run_module._from_json(json.loads(written)["a"])) == "[inf, -inf, nan, 1.5]"


def test_a_result_is_reused_only_if_nothing_changed(tracks, tmp_path, monkeypatch):
    source, track = fake_source(), tracks[0]
    run_here(monkeypatch, Fake(), source, [track], tmp_path)
    path, key = result_path(tmp_path, "fake", track.name), result_key(source, track, SETTINGS)
    assert read_result(path, key) is not None
    other_audio = open_tracks(track.path.parents[1], "all")[1]
    for changed in (
        result_key(fake_source(digest="2"), track, SETTINGS),
        result_key(source, track, Settings("cpu", 2)),
        result_key(source, other_audio, SETTINGS),
    ):
        assert read_result(path, changed) is None
    text = path.read_text()
    for damaged in (text[:-40], "", "null", "[]", '{"key": 1}', text.replace('"csdr"', '"other"')):
        path.write_text(damaged)
        assert read_result(path, key) is None
    path.write_text(text)
    assert read_result(path, key) is not None
    assert read_result(tmp_path / "missing.json", key) is None


@pytest.mark.parametrize("num_samples", [1, 44_100, 70_000])
@pytest.mark.parametrize("silent", [(), ("bass",), STEMS])
def test_short_and_silent_tracks_are_scored(tmp_path, num_samples, silent):
    from conftest import write_track

    noise = np.random.default_rng(0).normal(scale=0.1, size=(4, 2, num_samples)).astype(np.float32)
    stems = {stem: noise[index] * (stem not in silent) for index, stem in enumerate(STEMS)}
    write_track(tmp_path / "song", stems, with_mixture=False)
    (track,) = open_tracks(tmp_path, "test")
    for system in (Fake(), IdealRatioMask()):
        scores = measure(system, track, "Fake")["scores"]
        assert all(math.isfinite(value) for value in scores["sdr"].values())
        assert scores["num_frames"] == 1 and scores["nan_frames"] == bool(silent)
        assert all(math.isnan(value) == bool(silent) for value in scores["csdr"].values())


@pytest.mark.parametrize("name", ["plain-name_1.x", "Ünï – song / part", "..", "", "a" * 300, "demucs:/some/folder"])
def test_any_name_becomes_a_file_name(name, tmp_path):
    safe = safe_name(name)
    assert safe == safe_name(name) and len(safe) < 120 and not safe.startswith(".") and "/" not in safe
    (tmp_path / f"{safe}.json").write_text("")
    assert safe_name("a b") != safe_name("a_b") != safe_name("a/b")


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
