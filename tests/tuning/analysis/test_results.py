"""The results of a search: means, spread, significant differences, the Pareto front, tables and plots."""

import csv
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from search_folder import GRID, PLAN, write_search
from tuning.__main__ import main
from tuning.analysis.long_values import numbers_of
from tuning.analysis.results import compare, effects, pareto, read_results
from tuning.analysis.summary import summarise
from tuning.commands.report import write_report
from tuning.trials.records import FAILED, STOPPED, Outcome, Trial, read_outcome, write_outcome, write_trial


@pytest.fixture
def search(tmp_path):
    write_search(tmp_path / "out")
    return tmp_path / "out"


def test_cells_are_means_of_their_seeds_with_the_spread_between_them(search):
    comparison = compare(search, read_results(search), PLAN)
    assert list(comparison.cells["mean"]) == pytest.approx([3.0, 2.0, 1.5, 1.0])
    assert list(comparison.cells["seeds"]) == [2] * 4
    assert list(comparison.cells["spread"]) == pytest.approx([0.1 * math.sqrt(2)] * 4)
    assert len(comparison.pairs) == 6 and list(comparison.cells.holm[1:]) == list(comparison.pairs.holm[:3])
    assert list(comparison.cells["pareto"]) == [True, True, False, False]


def fail(out, trial, status=FAILED):
    """Make a trial of a search fail, or stop it early with its metrics so far."""
    metrics = read_outcome(out / f"trial-{trial:03d}").metrics if status == STOPPED else {}
    write_outcome(out / f"trial-{trial:03d}", Outcome(status, metrics, "why"))


@pytest.mark.parametrize("status", [FAILED, STOPPED])
def test_a_cell_whose_seeds_failed_or_were_stopped_does_not_win(tmp_path, status):
    write_search(tmp_path, seeds=3)
    plan = replace(PLAN, seeds=3)
    outcome = read_outcome(tmp_path / "trial-000")
    write_outcome(tmp_path / "trial-000", replace(outcome, metrics={**outcome.metrics, "sdr": 5.5}))
    for trial in (4, 8):  # the other seeds of its cell
        fail(tmp_path, trial, status)
    table = read_results(tmp_path)
    comparison = compare(tmp_path, table, plan)
    assert [round(mean, 1) for mean in comparison.cells["mean"]] == [3.0, 2.0, 1.5] and list(
        comparison.cells.seeds
    ) == [3] * 3
    lucky = "model.bands=v1 model.hidden=8"
    assert lucky not in comparison.cells.index and list(comparison.incomplete.index) == [lucky]
    summary = summarise(table, comparison, plan)
    assert "## Incomplete cells, not ranked" in summary
    assert f"- `{lucky}`: 1 of 3 seeds finished, mean of these 5.50 dB" in summary
    assert "| v1 | 8 |" not in summary and "3 cells, 3 seeds" in summary
    assert all(effects(comparison, plan)["model.hidden"]["max"] < 5)


def test_no_cell_is_ranked_before_all_its_seeds_have_finished(tmp_path):
    write_search(tmp_path, seeds=1)
    table = read_results(tmp_path)
    comparison = compare(tmp_path, table, PLAN)  # which asks for two seeds
    assert comparison.cells.empty and len(comparison.incomplete) == 4
    summary = summarise(table, comparison, PLAN)
    assert "No cell is complete" in summary and summary.count("1 of 2 seeds finished") == 4


def test_no_point_on_the_front_is_dominated():
    rng = np.random.default_rng(0)
    cost, value = rng.integers(1, 8, 40).astype(float), rng.integers(1, 8, 40).astype(float)
    front = pareto(cost, value)
    for index in range(40):
        beaten = any(
            cost[j] <= cost[index] and value[j] >= value[index] and (cost[j], value[j]) != (cost[index], value[index])
            for j in range(40)
        )
        assert front[index] == (not beaten)


def test_effects_are_over_all_other_settings(search):
    found = effects(compare(search, read_results(search), PLAN), PLAN)
    assert list(found) == list(GRID)
    assert list(found["model.bands"]["mean"]) == pytest.approx([2.0, 1.75])
    assert list(found["model.hidden"]["mean"]) == pytest.approx([1.5, 2.25])
    assert list(found["model.hidden"]["max"]) == pytest.approx([2.0, 3.0])


@pytest.mark.parametrize(
    ("spread", "seeds", "message"),
    [
        (0.01, 2, "is significantly better than every other cell"),
        (0.18, 2, "significantly better than the last 1; among the first 3 no difference from the best is significant"),
        (2.0, 2, "No cell is significantly worse than the best"),
        (0.0, 1, "One seed each, and the scores of one track"),
    ],
)
def test_the_summary_names_only_significant_differences(tmp_path, spread, seeds, message):
    write_search(tmp_path / "out", spread, seeds)
    table, plan = read_results(tmp_path / "out"), replace(PLAN, seeds=seeds)
    assert message in summarise(table, compare(tmp_path / "out", table, plan), plan)


def test_csv_summary_and_plots(search, capsys):
    write_outcome(search / "trial-001", Outcome(FAILED, {}, "ValueError: why"))
    write_outcome(search / "trial-002", Outcome(STOPPED, {"sdr": 0.5, "budget_used": 0.25, "steps": 1}))
    write_report(search, PLAN)
    with (search / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8 and "cell" not in rows[0]
    assert rows[2]["model.bands"] == "100:1k,1k:20k" and rows[2]["status"] == STOPPED and rows[2]["sdr"] == "0.5"
    assert rows[1]["error"] == "ValueError: why" and rows[1]["sdr"] == ""
    assert len(pd.read_csv(search / "trials.csv")) == 8
    summary = (search / "summary.md").read_text()
    assert "- trial 1: `model.bands=v1 model.hidden=16` seed 0: ValueError: why" in summary
    assert "- trial 2: `model.bands=100:1k,1k:20k model.hidden=8` seed 0: 0.50 dB at 25%" in summary
    assert summary.count("1 of 2 seeds finished") == 2
    assert "6 finished, 1 stopped early, 1 failed" in summary and "python -m tuning run 'a b'" in summary
    for name in ("pareto.png", "effects.png", "curves.png"):
        with Image.open(search / name) as image:
            colours = image.convert("RGB").getcolors(1 << 20)
        assert image.width > 300 and len(colours) > 20
    assert "wrote trials.csv" in capsys.readouterr().out


def test_a_search_without_a_finished_trial_has_a_report(tmp_path, capsys):
    PLAN.save(tmp_path)
    write_trial(tmp_path, Trial(0, {"model.bands": "v1", "model.hidden": "8"}, 0, 1000, 1.0))
    write_report(tmp_path, PLAN)
    assert "No cell is complete" in (tmp_path / "summary.md").read_text()
    assert (tmp_path / "trials.csv").read_text().count("unfinished") == 1
    assert not (tmp_path / "pareto.png").exists()


def test_a_search_in_which_no_trial_has_begun_says_so(tmp_path, capsys):
    PLAN.save(tmp_path)
    assert main(["report", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert "expected trials, got none yet" in captured.err and captured.err.count("\n") == 1


def test_a_setting_whose_condition_no_trial_meets_has_no_value(search):
    grid = {**GRID, "train.warmup_steps": ("int 0..4 if model.hidden=8",)}
    plan = replace(PLAN, grid=grid, search="optuna", trials=8)
    plan.save(search)
    write_report(search, plan)
    assert set(pd.read_csv(search / "trials.csv")["train.warmup_steps"]) == {"-"}
    assert "| v1 | 16 | - | 3.00 |" in (search / "summary.md").read_text()


def test_without_pandas_the_search_says_how_to_get_its_tables(search, monkeypatch, capsys):
    import sys

    monkeypatch.setitem(sys.modules, "tuning.analysis.results", None)
    write_report(search, PLAN)
    assert f"python -m tuning report {search}" in capsys.readouterr().out


def test_long_values_have_numbers_everywhere_but_in_the_command(search):
    long = "100:1k,250:2k,500:8k"
    for path in search.glob("trial-*/trial.json"):
        path.write_text(path.read_text().replace("100:1k,1k:20k", long))
    grid = {**GRID, "model.bands": ("v1", long, f"50:1k,{long}")}
    assert numbers_of(grid) == {long: "#1", f"50:1k,{long}": "#2"}
    plan = replace(PLAN, grid=grid, arguments=("run", "--grid", f"model.bands={long}"))
    table = read_results(search)
    head, _, rest = summarise(table, compare(search, table, plan), plan).partition("## ")
    assert f"--grid model.bands={long}\n" in head and head.endswith(f"- #1: `{long}`\n- #2: `50:1k,{long}`\n\n")
    assert long not in rest and "| #1 | 8 |" in rest and "| v1 | 8 |" in rest
    assert numbers_of({"train.lr": ("log 1e-4..1e-2 if train.schedule=linear",)}) == {}


def test_a_trial_that_goes_on_has_no_real_time_factor_yet(search):
    table = read_results(search)
    table["rtf"] = np.nan
    summary = summarise(table, compare(search, table, PLAN), PLAN)
    assert "nan" not in summary
