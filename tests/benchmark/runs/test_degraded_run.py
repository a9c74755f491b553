"""A run with --degrade: the costs are those of the scores, stored results are reused, and keys name the degradation."""

import re

import numpy as np
import pandas
import pytest

from benchmark import __main__ as command
from benchmark.degradations.degradation import Degradation, parse_degradations
from benchmark.degradations.track import DegradedTrack
from benchmark.runs import run as module
from benchmark.runs.result_key import differences, result_key
from benchmark.runs.settings import Settings
from benchmark.systems.catalog import resolve
from benchmark.systems.estimates import resolve_estimates
from benchmark.tables.degradations import costs, render
from benchmark_fakes import SETTINGS
from benchmark_scores import make_result, many_results
from models.metrics import global_sdr
from models.tracks import STEMS, open_tracks

pytestmark = pytest.mark.usefixtures("short_filters", "short_warm_up")


@pytest.mark.slow
def test_the_command_prints_the_costs_and_resumes(hq_root, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["run", "--data", str(hq_root), "--systems", "mixture", "--out", str(out), "--threads", "1"]
    arguments += ["--keep-estimates", "none", "--degrade", "level:-20,noise:-3"]
    assert command.main(arguments) == 0
    printed = capsys.readouterr().out
    assert (out / "degradations.md").read_text() in printed and "| mixture |" in printed
    found = pandas.read_csv(out / "degradations.csv").set_index(["degradation", "system", "stem"])
    assert found.cost["level:-20", "mixture", "mean"] == pytest.approx(0, abs=1e-4)
    track = open_tracks(hq_root, "test")[0]
    mixture = DegradedTrack.of(track, Degradation("noise", -3.0)).read_mixture()
    references = np.stack(list(track.read_stems().values()))
    before, after = (global_sdr(references, np.stack([audio] * 4)) for audio in (track.read_mixture(), mixture))
    for index, stem in enumerate(STEMS):
        assert found.cost["noise:-3", "mixture", stem] == pytest.approx(before[index] - after[index], abs=1e-3)
    assert found.cost["noise:-3", "oracle", "mean"] > 0.5  # what the noise itself destroys
    files = {path: path.stat().st_mtime_ns for path in out.rglob("tracks/*/*/*.json")}
    assert len(files) == 2 + 4
    assert command.main(arguments) == 0 and capsys.readouterr().out == printed
    assert files == {path: path.stat().st_mtime_ns for path in out.rglob("tracks/*/*/*.json")}
    assert command.main(["report", str(out / "degraded")]) == 0
    capsys.readouterr()
    assert command.main(["score", str(out / "degraded"), "--data", str(hq_root)]) == 2
    assert "estimates of degraded mixtures are not kept" in capsys.readouterr().err


def test_a_wrong_degradation_is_one_line(tmp_path, capsys):
    assert command.main(["run", "--out", str(tmp_path / "out"), "--degrade", "mp3"]) == 2
    assert capsys.readouterr().err == "benchmark: --degrade: expected mp3 like mp3:128k, got 'mp3'\n"
    assert not (tmp_path / "out").exists()


def test_a_key_names_the_degradation_and_the_codec(hq_root):
    track, mixture = open_tracks(hq_root, "test")[0], resolve("mixture")
    clean = result_key(mixture, track, SETTINGS)
    mono, mp3 = (
        result_key(mixture, DegradedTrack.of(track, degradation), SETTINGS)
        for degradation in parse_degradations("mono,mp3:128k")
    )
    assert "degradation" not in clean and clean["audio"] == mono["audio"]
    assert mono["degradation"]["name"] == "mono" and mono["degradation"]["split"] == "test"
    assert re.match(r"\d", mp3["degradation"]["ffmpeg"]) and "ffmpeg" not in mono["degradation"]
    changed = {**mono, "degradation": {**mono["degradation"], "code": "0"}}
    assert differences(changed, mono) == ["the degradation"]


def test_estimates_on_disk_are_left_out(hq_root, tmp_path, monkeypatch):
    (tmp_path / "theirs/song").mkdir(parents=True)
    (tmp_path / "theirs/song/vocals.wav").touch()
    called = []
    monkeypatch.setattr(module, "run", lambda *arguments: called.append(arguments) or ([], []))
    sources = [resolve("mixture"), resolve_estimates(f"theirs={tmp_path / 'theirs'}")]
    tracks = open_tracks(hq_root, "all")
    module.run_degraded(parse_degradations("mono,clip:-3"), sources, tracks, tmp_path, Settings("cpu", 1), "music")
    ((able, degraded, out, settings, words, *_),) = called
    assert able == sources[:1] and len(degraded) == 2 * len(tracks) and out == tmp_path / "degraded"
    assert settings.scorer == "sdr" and words == "music, degraded: mono, clip:-3"


def degraded_results(system, loss, stems=STEMS):
    results = many_results(system, -loss, stems=stems)
    for result in results:
        result["key"] |= {"split": "test mono", "degradation": {"name": "mono", "split": "test"}}
    return results


def test_costs_are_paired_with_intervals():
    clean = [*many_results("a"), *many_results("two", stems=STEMS[:1]), make_result("b", "only clean", (1.0,) * 4)]
    found = costs(clean, [*degraded_results("a", 0.7), *degraded_results("two", 0.2, STEMS[:1])])
    mean = found[0]
    assert (mean.system, mean.stem, mean.num_tracks) == ("a", "mean", 12)
    assert mean.cost == pytest.approx(0.7, abs=1e-4) and mean.clean - mean.degraded == pytest.approx(mean.cost)
    assert mean.low == pytest.approx(0.7, abs=1e-3) and mean.high == pytest.approx(0.7, abs=1e-3)  # the tracks cancel
    table = render(found, 12)
    assert re.search(r"\| a +\| +\d+\.\d\d \| 0\.70 \[0\.70, 0\.70\] \|", table)
    assert re.search(r"\| two \(vocals\) \|.*\| 0\.20 \[", table) and "only clean" not in table
    few = costs(clean, degraded_results("a", 0.7)[:3])
    assert "[" not in render(few, 3) and "no intervals (few tracks)" in render(few, 3)
