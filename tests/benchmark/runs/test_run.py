"""benchmark.runs.run: finished results are not measured again, out-of-date ones are."""

import json
from pathlib import Path

import pytest

from benchmark.runs import run as run_module
from benchmark.runs import serial
from benchmark.runs.run import run
from benchmark.runs.settings import Settings
from benchmark.runs.store import result_path
from benchmark.systems.estimates import resolve_estimates
from benchmark_fakes import ORIGIN, SETTINGS, Fake, measure_here
from conftest import synthetic_stems, write_track
from models.tracks import open_tracks

pytestmark = pytest.mark.usefixtures("short_filters", "short_warm_up")


@pytest.fixture
def tracks(hq_root):
    return open_tracks(hq_root, "all")


@pytest.fixture
def measured(monkeypatch):
    """The pairs that were measured, in this process."""
    pairs = []

    def run_pairs(waiting, out, settings, origin, bar):
        pairs.extend((pair.source.name, pair.title) for pair in waiting)
        return measure_here(monkeypatch, Fake(), waiting, out, settings, ORIGIN)

    monkeypatch.setattr(serial, "run_pairs", run_pairs)
    return pairs


def source(**changes):
    from dataclasses import replace

    from benchmark.systems.catalog import resolve

    return replace(resolve("mixture"), **changes)


def test_a_run_resumes(tracks, tmp_path, measured, capsys):
    results, failures = run([source()], tracks[:2], tmp_path, SETTINGS)
    assert failures == [] and [result["key"]["track"] for result in results] == [track.name for track in tracks[:2]]
    assert all("frames" not in group for result in results for group in result["scores"]["together"])
    again, _ = run([source()], tracks[:2], tmp_path, SETTINGS)
    assert again == results and len(measured) == 2
    assert f"2 results are already in {tmp_path}\n" in capsys.readouterr().err
    assert not list(Path(tmp_path).rglob("*.part"))


def test_other_threads_keep_the_scores_and_are_stored_with_the_times(tracks, tmp_path, measured):
    run([source()], tracks[:1], tmp_path, Settings("cpu", 1))
    results, _ = run([source()], tracks[:1], tmp_path, Settings("cpu", 2))
    assert len(measured) == 1 and results[0]["measured"]["threads"] == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"code": "1234"}, "our code (1)"),
        ({"scoring": "1234"}, "our code that scores (1)"),
        ({"frame_s": 2.0}, "the length of frames (1)"),
        ({"packages": {"torch": "1.0"}}, "torch 2.11.0 to 1.0 (1)"),
        ({"digest": "2"}, "the system's files (1)"),
        ({"audio": "2"}, "the track's audio (1)"),
        ({"scorer": "museval"}, "the scorer (1)"),
    ],
)
def test_out_of_date_results_are_measured_again(tracks, tmp_path, measured, monkeypatch, capsys, change, reason):
    original = run_module.result_key
    run([source()], tracks[:1], tmp_path, SETTINGS)

    def changed(*arguments):
        key = original(*arguments)
        packages = key["packages"] | change.get("packages", {})
        return {**key, **change, "packages": packages}

    monkeypatch.setattr(run_module, "result_key", changed)
    monkeypatch.setattr("benchmark.runs.result_key.version_of", lambda name: "2.11.0")
    run([source()], tracks[:1], tmp_path, SETTINGS)
    told = capsys.readouterr().err
    assert len(measured) == 2 and "1 results in" in told and reason in told
    run([source()], tracks[:1], tmp_path, SETTINGS)
    assert len(measured) == 2


def test_one_changed_sample_changes_the_key(hq_root, tmp_path, measured):
    (track,) = open_tracks(hq_root, "test")
    run([source()], [track], tmp_path, SETTINGS)
    file = track.path / "bass.wav"
    content = bytearray(file.read_bytes())
    content[len(content) // 4] ^= 1  # between the blocks that were hashed before
    file.write_bytes(content)
    run([source()], [track], tmp_path, SETTINGS)
    assert len(measured) == 2


def test_changed_estimates_of_a_track_do_not_affect_other_tracks(tracks, tmp_path, measured):
    folder = tmp_path / "mine"
    for seed, track in enumerate(tracks):
        write_track(folder / track.name, synthetic_stems(seed), with_mixture=False)
    mine = resolve_estimates(f"mine={folder}")
    run([mine], tracks, tmp_path / "out", SETTINGS)
    file = folder / tracks[1].name / "bass.wav"
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content)
    run([resolve_estimates(f"mine={folder}")], tracks, tmp_path / "out", SETTINGS)
    assert [title for _, title in measured[3:]] == [tracks[1].name]


def test_a_name_in_two_splits_is_two_results(tmp_path, measured):
    for seed, split in enumerate(("train", "test")):
        write_track(tmp_path / "music" / split / "Song", synthetic_stems(seed, 1.0))
    tracks = open_tracks(tmp_path / "music", "all")
    results, _ = run([source()], tracks, tmp_path / "out", SETTINGS)
    assert sorted(result["key"]["split"] for result in results) == ["test", "train"]
    assert sorted(title for _, title in measured) == ["Song (test)", "Song (train)"]
    assert results[0]["scores"]["sdr"] != results[1]["scores"]["sdr"]
    with pytest.raises(ValueError, match="different names in a split, got two of 'Song' in t"):
        run([source()], [*tracks, tracks[0]], tmp_path / "out", SETTINGS)


def test_results_of_an_older_version_are_named(tracks, tmp_path, measured, capsys):
    old = tmp_path / "tracks" / "mixture" / "song.json"
    old.parent.mkdir(parents=True)
    old.write_text(json.dumps({"key": {"format": 3}, "scores": {}}))
    run([source()], tracks[:1], tmp_path, SETTINGS)
    assert "1 results in" in (told := capsys.readouterr().err) and "of an older version of this program" in told
    assert old.is_file() and result_path(tmp_path, "mixture", tracks[0].split, tracks[0].name).is_file()
