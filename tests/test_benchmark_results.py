"""benchmark.results: kept whole, in strict json, and reused only when nothing changed."""

import json
import math

import pytest

from benchmark import results as results_module
from benchmark.identity import result_key
from benchmark.results import read_result, result_path, safe_name, track_id
from benchmark.settings import Settings
from benchmark_fakes import SETTINGS, Fake, fake_source, run_here
from models.tracks import open_tracks


@pytest.fixture
def tracks(hq_root):
    return open_tracks(hq_root, "all")


def test_results_are_strict_json_and_read_back_equal(tracks, tmp_path, monkeypatch):
    def change(estimates):
        estimates["drums"][:, :44100] = 0  # a NaN frame
        return estimates

    run_here(monkeypatch, Fake(change=change), fake_source(), tracks[:1], tmp_path)
    path = result_path(tmp_path, "fake", tracks[0].name)
    raw = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert raw["scores"]["frames"]["SAR"]["vocals"][0] is None and raw["scores"]["nan_frames"] == 1
    result = read_result(path, result_key(fake_source(), tracks[0], SETTINGS))
    assert math.isnan(result["scores"]["frames"]["SDR"]["vocals"][0]) and math.isfinite(
        result["scores"]["csdr"]["vocals"]
    )
    key = result["key"]
    lighter = read_result(path, key, frames=False)
    assert result["scores"].pop("frames") and str(lighter) == str(result)  # as text, since NaN differs from NaN
    infinite = {"a": [math.inf, -math.inf, math.nan, 1.5]}
    written = json.dumps(results_module._to_json(infinite), allow_nan=False)
    assert str(results_module._from_json(json.loads(written)["a"])) == "[inf, -inf, nan, 1.5]"


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


@pytest.mark.parametrize("name", ["plain-name_1.x", "Ünï – song / part", "..", "", "a" * 300, "demucs:/some/folder"])
def test_any_name_becomes_a_file_name(name, tmp_path):
    safe = safe_name(name)
    assert safe == safe_name(name) and len(safe) < 120 and not safe.startswith(".") and "/" not in safe
    (tmp_path / f"{safe}.json").write_text("")
    assert safe_name("a b") != safe_name("a_b") != safe_name("a/b")
