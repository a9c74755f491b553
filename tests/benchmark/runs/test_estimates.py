"""benchmark.runs.estimates and rescore: estimates are kept whole, and scored again without a separation."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

from benchmark.runs import estimates as module
from benchmark.runs import run as run_module
from benchmark.runs import serial
from benchmark.runs.estimates import (
    check_disk,
    estimates_folder,
    expected_bytes,
    read_about,
    read_estimates,
    write_about,
    write_estimates,
)
from benchmark.runs.record import read_record
from benchmark.runs.rescore import score_again
from benchmark.runs.run import run
from benchmark.runs.settings import Settings
from benchmark.scoring.metrics import EXTRA
from benchmark_fakes import ORIGIN, Fake, fake_source, measure_here
from models.running import atomic
from models.tracks import open_tracks

pytestmark = pytest.mark.usefixtures("short_filters", "short_warm_up")

KEY = {"system": "a/b", "split": "test", "track": "Söng", "separation": "1"}
KEEP = Settings("cpu", 1, keep_estimates=True)
OTHER = {"drums": 0.5, "bass": 0.25, "other": 0.1, "vocals": 0.3}


def unequal(estimates):
    noise = np.random.default_rng(0).normal(scale=0.02, size=estimates["bass"].shape).astype(np.float32)
    return {stem: np.float32(OTHER[stem]) * (audio + noise) for stem, audio in estimates.items()}


@pytest.fixture
def tracks(hq_root):
    return open_tracks(hq_root, "all")[:2]


@pytest.fixture
def separated(monkeypatch):
    """The titles of the tracks that a fake system separated, in this process."""
    titles = []

    def run_pairs(waiting, out, settings, origin, bar):
        titles.extend(pair.title for pair in waiting)
        return measure_here(monkeypatch, Fake(change=unequal), waiting, out, settings, ORIGIN)

    monkeypatch.setattr(serial, "run_pairs", run_pairs)
    return titles


@pytest.mark.parametrize("peak", [0.001, 0.9, 1.0, 7.3, 0.0])
def test_estimates_come_back(tmp_path, peak):
    noise = np.random.default_rng(0).normal(size=(2, 5000))
    audio = (peak * noise / np.abs(noise).max()).astype(np.float32)
    estimates = {"vocals": audio, "drums": audio[::-1].copy(), "bass": audio.copy()}
    files = write_estimates(tmp_path, KEY, 44100, estimates)
    assert read_about(tmp_path, KEY) is None  # not complete yet
    write_about(tmp_path, KEY, files, {"key": KEY, "scores": {}, "separate_s": 3})
    about = read_about(tmp_path, KEY)
    assert about and about["result"] == {"key": KEY, "separate_s": 3}
    back = read_estimates(tmp_path, about)
    for stem, wanted in estimates.items():
        np.testing.assert_allclose(back[stem], wanted, rtol=0, atol=peak * 2**-23)
    folder = estimates_folder(tmp_path, KEY)
    assert len(list(folder.glob("*.flac"))) == (2 if peak else 1)  # equal stems share a file
    assert read_about(tmp_path, KEY | {"separation": "2"}) is None
    next(folder.glob("*.flac")).write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"vocals|drums.* is damaged"):
        read_estimates(tmp_path, about)
    next(folder.glob("*.flac")).unlink()
    assert read_about(tmp_path, KEY) is None


def test_disk_use_is_said_first_and_too_small_a_disk_is_refused(tracks, tmp_path, monkeypatch, separated, capsys):
    samples = sum(track.num_frames for track in tracks)
    needed = expected_bytes([("mixture", tracks[0]), ("a", tracks[0]), ("a", tracks[1])])
    assert needed == round(0.75 * 6 * (4 * samples + tracks[0].num_frames))
    assert "about 0.00 GB for estimates" in check_disk(tmp_path, 1000)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(ValueError, match="--keep-estimates flac: expected enough free space, got about"):
        run([fake_source()], tracks, tmp_path / "out", KEEP)
    assert not separated and not (tmp_path / "out" / "run.json").exists()


def test_a_full_disk_keeps_the_scores_and_no_half_of_the_estimates(tracks, tmp_path, monkeypatch, separated):
    replace_file = atomic.os.replace

    def full(source, target):
        if str(target).endswith("bass.flac"):
            raise OSError(28, "No space left on device")
        replace_file(source, target)

    monkeypatch.setattr(atomic.os, "replace", full)
    with pytest.raises(OSError, match=r"its scores are stored, but not all of its audio \(.*No space left"):
        run([fake_source()], tracks[:1], tmp_path, KEEP)
    assert not list(tmp_path.rglob("*.flac")) and not list(tmp_path.rglob("*.part"))
    results, _ = run([fake_source()], tracks[:1], tmp_path, Settings("cpu", 1))
    assert len(separated) == 1 and results[0]["scores"]["sdr"]["vocals"]  # the stored scores
    monkeypatch.setattr(atomic.os, "replace", replace_file)
    run([fake_source()], tracks[:1], tmp_path, KEEP)  # keeps them now
    assert len(separated) == 2 and len(list(tmp_path.rglob("*.flac"))) == 4


def close(one, two):
    assert one["stems"] == two["stems"]
    for name in ("sdr", "si_sdr"):
        assert one[name] == pytest.approx(two[name], abs=1e-3)
    for first, second in zip(one["together"], two["together"], strict=True):
        for name in ("csdr", "sir", "sar", "si_sar"):  # these tones make the equations of ISR singular
            assert first[name] == pytest.approx(second[name], abs=1e-2, nan_ok=True)


@pytest.mark.slow
def test_all_metrics_are_scored_again_without_a_separation(tracks, tmp_path, separated):
    before, _ = run([fake_source()], tracks, tmp_path, KEEP, root="music")
    assert len(separated) == 2 and not {*before[0]["scores"]} & {*EXTRA}
    record, results = score_again(tmp_path, tracks, EXTRA, 1)
    assert record.failures == () and record.root == "music" and len(separated) == 2
    for old, new in zip(before, results, strict=True):
        assert old["scores"].items() <= new["scores"].items() and set(EXTRA) <= set(new["scores"])
        assert old["key"] == new["key"] and old["separate_s"] == new["separate_s"]
    again, _ = run([fake_source()], tracks, tmp_path, replace(KEEP, metrics=EXTRA))
    assert again == results and len(separated) == 2  # the run knows them
    fresh, _ = run([fake_source()], tracks, tmp_path / "fresh", Settings("cpu", 1, metrics=EXTRA))
    for metric in EXTRA:
        assert fresh[0]["scores"][metric] == pytest.approx(results[0]["scores"][metric], rel=1e-4, nan_ok=True)


@pytest.mark.slow
def test_changed_scoring_scores_again_and_lost_results_come_back(tracks, tmp_path, separated, monkeypatch, capsys):
    before, _ = run([fake_source()], tracks, tmp_path, KEEP)
    original = run_module.result_key
    monkeypatch.setattr(run_module, "result_key", lambda *args: original(*args) | {"scoring": "other"})
    after, failures = run([fake_source()], tracks, tmp_path, KEEP)
    assert len(separated) == 2 and failures == []
    assert "2 results are scored again from kept estimates" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "tracks")
    back, _ = run([fake_source()], tracks, tmp_path, KEEP)
    assert len(separated) == 2
    for old, new, third in zip(before, after, back, strict=True):
        close(old["scores"], new["scores"])
        close(old["scores"], third["scores"])
        assert old["row"] == third["row"] and old["measured"] == third["measured"]
    monkeypatch.setattr(run_module, "result_key", lambda *args: original(*args) | {"separation": "other", "code": "2"})
    run([fake_source()], tracks, tmp_path, KEEP)
    assert len(separated) == 4  # another system's estimates are not these


def test_other_frames_and_other_references(tracks, tmp_path, separated, hq_root):
    before, _ = run([fake_source()], tracks[:1], tmp_path / "out", KEEP)
    _, (longer,) = score_again(tmp_path / "out", tracks, (), 1, frame_s=1.5)
    assert longer["key"]["frame_s"] == 1.5 and longer["scores"]["together"][0]["num_frames"] == 2
    assert before[0]["scores"]["together"][0]["num_frames"] == 3
    other = open_tracks(shutil.copytree(hq_root, tmp_path / "other"), "all")
    file = other[0].path / "bass.wav"
    file.write_bytes(file.read_bytes()[:-40_000] + bytes(40_000))
    _, (changed,) = score_again(tmp_path / "out", other, (), 1)
    assert changed["scores"]["sdr"]["vocals"] == longer["scores"]["sdr"]["vocals"]
    assert changed["scores"]["sdr"]["bass"] != longer["scores"]["sdr"]["bass"]
    (same,), _ = run([fake_source()], tracks[:1], tmp_path / "out", KEEP)
    close(same["scores"], before[0]["scores"])
    assert len(separated) == 1


def test_what_was_not_kept_stays_as_it_was(tracks, tmp_path, separated):
    run([fake_source()], tracks, tmp_path, KEEP)
    key = read_record(tmp_path).keys[1]
    shutil.rmtree(estimates_folder(tmp_path, key))
    record, results = score_again(tmp_path, tracks, ("l1_freq",), 1)
    assert [failure.track for failure in record.failures] == [tracks[1].name]
    assert "run the benchmark again with --keep-estimates flac" in record.failures[0].reason
    assert "l1_freq" in results[0]["scores"] and results[1]["scores"]["sdr"] and "l1_freq" not in results[1]["scores"]
    assert math.isfinite(json.loads((tmp_path / "run.json").read_text())["keys"][1]["frame_s"])
    shutil.rmtree(tmp_path / "estimates")
    with pytest.raises(ValueError, match="expected kept estimates, got none; run the benchmark with --keep-estimates"):
        score_again(tmp_path, tracks, (), 1)


def test_a_missing_track_is_named(tracks, tmp_path, separated):
    run([fake_source()], tracks, tmp_path, KEEP)
    with pytest.raises(ValueError, match=f"expected the tracks of the run, got no '{tracks[0].name}'; name"):
        score_again(tmp_path, tracks[1:], (), 1)
