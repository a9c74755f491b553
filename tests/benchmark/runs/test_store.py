"""benchmark.runs.store: results are complete, strict json, and reused only if nothing changed."""

import json
import math

import pytest

from benchmark.runs import store as results_module
from benchmark.runs.result_key import result_key
from benchmark.runs.store import read_key, read_result, result_path, safe_name, track_id, track_titles
from benchmark_fakes import ORIGIN, SETTINGS, Fake, fake_source, run_here
from models.tracks import open_tracks

pytestmark = pytest.mark.usefixtures("short_filters", "short_warm_up")


@pytest.fixture
def tracks(hq_root):
    return open_tracks(hq_root, "all")


def test_results_are_strict_json_and_read_back_equal(tracks, tmp_path, monkeypatch):
    def change(estimates):
        estimates["drums"][:, :44100] = 0  # a NaN frame
        return estimates

    run_here(monkeypatch, Fake(change=change), fake_source(), tracks[:1], tmp_path)
    key = result_key(fake_source(), tracks[0], SETTINGS)
    path = result_path(tmp_path, "fake", *track_id(key))
    raw = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert raw["scores"]["together"][0]["frames"]["SAR"]["vocals"][0] is None
    result = read_result(path, key)
    four, pair = result["scores"]["together"]
    assert (four["nan_frames"], pair["nan_frames"]) == (1, 0) and pair["stems"] == ["vocals", "accompaniment"]
    assert math.isnan(four["frames"]["SDR"]["vocals"][0]) and math.isfinite(four["csdr"]["vocals"])
    lighter = read_result(path, key, frames=False)
    assert four.pop("frames") and pair.pop("frames") and str(lighter) == str(result)  # as text: NaN differs from NaN
    infinite = {"a": [math.inf, -math.inf, math.nan, 1.5]}
    written = json.dumps(results_module._to_json(infinite), allow_nan=False)
    assert str(results_module._from_json(json.loads(written)["a"])) == "[inf, -inf, nan, 1.5]"


def test_a_damaged_result_is_none(tracks, tmp_path, monkeypatch):
    source, track = fake_source(), tracks[0]
    run_here(monkeypatch, Fake(), source, [track], tmp_path)
    key = result_key(source, track, SETTINGS)
    path = result_path(tmp_path, "fake", *track_id(key))
    assert read_result(path, key) is not None and read_key(path) == key
    text = path.read_text()
    for damaged in (text[:-40], "", "null", "[]", '{"key": 1}', text.replace('"csdr"', '"other"')):
        path.write_text(damaged)
        assert read_result(path, key) is None
    path.write_text(text)
    assert read_result(path, key) is not None
    assert read_result(tmp_path / "missing.json", key) is None is read_key(tmp_path / "missing.json")


def test_a_result_says_how_it_was_measured(tracks, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmark.runs.pair.machine", lambda device: f"Abacus, {device}")
    run_here(monkeypatch, Fake(), fake_source(), tracks[:1], tmp_path)
    key = result_key(fake_source(), tracks[0], SETTINGS)
    result = read_result(result_path(tmp_path, "fake", *track_id(key)), key)
    measured = result["measured"]
    assert (measured["machine"], measured["threads"], measured["jobs"]) == ("Abacus, cpu", 1, 1)
    assert (measured["commit"], measured["command"]) == (ORIGIN.commit, ORIGIN.command)
    assert measured["date"].startswith("20") and measured["load_1min"] >= 0 and measured["python"]
    assert {"numpy", "scipy", "torch"} <= set(result["key"]["packages"]) and result["row"]["role"] == "peer"


def test_tracks_of_one_name_in_two_splits_have_two_titles():
    ids = [("test", "a"), ("train", "b"), ("train", "a"), ("test", "a")]
    titles = track_titles(ids)
    assert titles == {("test", "a"): "a (test)", ("train", "b"): "b", ("train", "a"): "a (train)"}


@pytest.mark.parametrize("name", ["plain-name_1.x", "Ünï – song / part", "..", "", "a" * 300, "demucs:/some/folder"])
def test_any_name_becomes_a_file_name(name, tmp_path):
    safe = safe_name(name)
    assert safe == safe_name(name) and len(safe) < 120 and not safe.startswith(".") and "/" not in safe
    (tmp_path / f"{safe}.json").write_text("")
    assert safe_name("a b") != safe_name("a_b") != safe_name("a/b")
