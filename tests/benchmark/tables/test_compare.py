"""benchmark.tables.compare: a planted loss of 0.3 dB is found, one of 0.02 dB is not decided."""

import math

import numpy as np
import pytest

from benchmark import __main__ as command
from benchmark.runs.record import write_record
from benchmark.runs.store import result_path, track_id, write_result
from benchmark.scoring.metrics import METRICS
from benchmark.tables.compare import compare_results, compare_sides
from benchmark.tables.forest import describe
from benchmark.tables.statistics import MEAN
from benchmark_scores import make_result
from models.tracks import STEMS

NUM_TRACKS = 30


def results(system, loss_db=0.0, seed=0, num_tracks=NUM_TRACKS, lower_is_better=False, audio="same"):
    """A system's results: tracks differ by decibels, and its loss by a tenth of a decibel from track to track."""
    tracks = np.random.default_rng(0).normal(5, 2, size=(num_tracks, 4))
    noise = np.random.default_rng(seed).normal(0, 0.1, size=(num_tracks, 4)) if seed else 0
    values = tracks - loss_db + noise
    found = []
    for index, row in enumerate(values):
        result = make_result(system, f"track {index}", tuple(map(float, row)), role="peer")
        result["key"] |= {"format": 5, "audio": audio}
        result["scores"]["together"] = [
            group | {"frames": {ratio: {stem: [1.0] for stem in STEMS} for ratio in ("SDR", "ISR", "SIR", "SAR")}}
            for group in result["scores"]["together"]
        ]
        if lower_is_better:
            result["scores"]["mrstft"] = {stem: 10 - value for stem, value in result["scores"]["sdr"].items()}
        found.append(result)
    return found


def by_track(found):
    return {track_id(result["key"]): result for result in found}


def store(out, *systems):
    for result in (result for system in systems for result in system):
        write_result(result_path(out, result["key"]["system"], *track_id(result["key"])), result)
    write_record(out, "made up", [result["key"] for system in systems for result in system])
    return str(out)


@pytest.mark.parametrize(
    ("loss_db", "margin", "verdict"),
    [
        (0.3, 0.1, "worse"),
        (0.02, 0.1, "undecided"),
        (-0.3, 0.1, "better"),
        (0.3, 0.5, "undecided"),
    ],
)
def test_a_planted_loss(loss_db, margin, verdict):
    for seed in range(1, 6):
        a, b = by_track(results("a")), by_track(results("b", loss_db, seed))
        gate = compare_results("a", "b", a, b, METRICS["sdr"], margin).gate
        assert gate.stem == MEAN and gate.num_tracks == NUM_TRACKS and gate.verdict == verdict
        assert gate.value == pytest.approx(-loss_db, abs=0.05) and gate.low < gate.value < gate.high


def test_lower_is_better_turns_the_verdict():
    a = by_track(results("a", lower_is_better=True))
    b = by_track(results("b", 0.3, 1, lower_is_better=True))
    gate = compare_results("a", "b", a, b, METRICS["mrstft"], 0.1).gate
    assert gate.value > 0.2 and gate.verdict == "worse"
    assert compare_results("b", "a", b, a, METRICS["mrstft"], 0.1).gate.verdict == "better"


def test_few_tracks_decide_nothing_and_missing_scores_do_not_count():
    a, b = by_track(results("a", num_tracks=5)), by_track(results("b", 3, 1, num_tracks=5))
    few = compare_results("a", "b", a, b, METRICS["sdr"], 0)
    assert few.gate.verdict == "undecided" and math.isnan(few.gate.low) and "Fewer than 6 tracks" in describe(few)
    a, b = by_track(results("a")), by_track(results("b", 0.3, 1))
    a["test", "track 3"]["scores"]["sdr"]["bass"] = math.nan
    counts = {one.stem: one.num_tracks for one in compare_results("a", "b", a, b, METRICS["sdr"], 0.1).differences}
    assert counts == {MEAN: 29, "vocals": 30, "drums": 30, "bass": 29, "other": 30}


def test_two_systems_of_a_run_and_the_exit_code(tmp_path, capsys):
    out = store(tmp_path / "r", results("x:good"), results("bad", 0.3, 1), results("same", 0.02, 2))
    picture = tmp_path / "plots" / "forest.svg"
    assert command.main(["compare", f"{out}:x:good", f"{out}:bad", "--plot", str(picture)]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("bad is worse than x:good by more than 0.1 dB in Global SDR (mean of the stems): -0.")
    assert "30 tracks" in printed and printed.count("worse") >= 2
    lines = [line for line in printed.splitlines() if line.startswith("mean ")]
    assert len(lines) == 2 and lines[1].index("o") < lines[1].index("|")  # the table's row, and the plot's
    assert picture.read_text().startswith("<?xml")
    assert command.main(["compare", f"{out}:x:good", f"{out}:same"]) == 0
    assert "same is not decided to differ from x:good by more than 0.1 dB" in capsys.readouterr().out
    assert command.main(["compare", f"{out}:bad", f"{out}:x:good"]) == 0
    assert command.main(["compare", f"{out}:x:good", f"{out}:bad", "--margin", "0.5"]) == 0
    assert command.main(["compare", f"{out}:x:good", f"{out}:bad", "--metric", "csdr"]) == 1


def test_two_runs_compare_systems_of_the_same_name(tmp_path, capsys):
    old = store(tmp_path / "old", results("a"), results("b"), results("gone"))
    new = store(tmp_path / "new", results("a", 0.0, 1), results("b", 0.4, 2))
    assert command.main(["compare", old, new]) == 1
    printed = capsys.readouterr().out
    assert f"{new}:b is worse than {old}:b" in printed and f"{new}:a is not decided to differ from {old}:a" in printed
    one, other = (store(tmp_path / name, results(name, 0.4 * index, index)) for index, name in enumerate("xy"))
    assert [(c.first, c.second) for c in compare_sides(one, other, "sdr", 0.1)] == [(f"{one}:x", f"{other}:y")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{r}:a", "{r}:nothing"], "expected results of nothing, got none; the run has a, b"),
        (["{r}", "{r}"], "expected two systems or two runs, got"),
        (["{r}:a", "/nothing/here"], "expected the --out folder of `python -m benchmark run`, got /nothing/here"),
        (["{r}:a", "{r}:b", "--metric", "pesq"], "--metric: expected one of sdr, csdr"),
        (["{r}:a", "{r}:b", "--metric", "fullness"], "`python -m benchmark score DIR --metrics fullness` adds"),
        (["{r}:a", "{r}:b", "--margin", "-1"], "--margin: expected a number of at least 0, got -1.0"),
        (["{r}:a", "{r}:b", "--plot", "x.gif"], "--plot x.gif: expected a name ending in .svg, .png or .pdf"),
        (["{r}:a", "{other}:a"], "track 0: expected the same recording in both runs"),
        (["{r}", "{third}"], "expected systems of the same name, got a, b in"),
    ],
)
def test_wrong_input_is_one_line(arguments, message, tmp_path, capsys):
    places = {
        "r": store(tmp_path / "r", results("a"), results("b")),
        "other": store(tmp_path / "o", results("a", audio="x")),
    }
    places["third"] = store(tmp_path / "t", results("c"))
    assert command.main(["compare", *(argument.format(**places) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
