"""The words of a search's summary: what its seeds and tracks allow, and no more."""

import csv
from dataclasses import replace

import pytest

from search_folder import PLAN, write_search
from tuning.__main__ import main
from tuning.analysis.results import compare, read_results
from tuning.analysis.summary import summarise, write_summary_at
from tuning.commands.report import write_report
from tuning.space.budget import Budget
from tuning.trials.records import STOPPED, Outcome, read_outcome, write_outcome


def summary_of(folder, **changes):
    plan, table = replace(PLAN, **changes), read_results(folder)
    return summarise(table, compare(folder, table, plan), plan)


def stop_at_a_quarter(trial):
    write_outcome(trial, replace(read_outcome(trial), status=STOPPED, metrics={"budget_used": 0.25, "steps": 1}))
    (trial / "metrics.csv").write_text("step,minutes,cpu_minutes,valid_sdr\n1,0.1,0.1,9\n")


def test_with_seeds_and_tracks_both_are_in_the_interval_and_the_winner_is_judged(tmp_path):
    write_search(tmp_path, spread=0.05, tracks=4)
    text = summary_of(tmp_path)
    assert "4 cells, 2 seeds, 4 validation tracks" in text
    assert "from seed to seed by a standard deviation of" in text and "from track to track by" in text
    assert "| than | better by | 95 % interval | p (Holm) |" in text
    assert "One half of the seeds and tracks chooses" in text and "Chosen: `model.bands=v1 model.hidden=16` (4)" in text
    assert "6 pairs (Holm)" in text and "is not equality" in text and "at steps=4 for each trial" in text
    assert "nothing is known about other seeds" not in text and "not about other tracks" not in text


def test_with_one_seed_the_summary_claims_nothing_about_seeds(tmp_path):
    write_search(tmp_path, seeds=1, tracks=4)
    text = summary_of(tmp_path, seeds=1)
    assert "**One seed: nothing is known about other seeds.**" in text
    assert "One half of the tracks chooses" in text


def test_without_the_scores_of_tracks_the_summary_claims_nothing_about_tracks(tmp_path):
    write_search(tmp_path)
    text = summary_of(tmp_path)
    assert "The scores of each track are missing: the intervals are about other seeds on these very tracks" in text
    assert "One half of the seeds chooses" in text


def test_one_trial_without_scores_of_tracks_leaves_the_means(tmp_path):
    write_search(tmp_path, tracks=3)
    (tmp_path / "trial-002" / "tracks.csv").unlink()
    assert "The scores of each track are missing" in summary_of(tmp_path)


def test_a_damaged_file_of_scores_is_named(tmp_path):
    write_search(tmp_path, tracks=3)
    (tmp_path / "trial-002" / "tracks.csv").write_text("step\nx\n")
    with pytest.raises(ValueError, match="trial-002/tracks.csv: expected steps, tracks and SDRs"):
        summary_of(tmp_path)


def test_the_scores_are_those_of_the_kept_validation_and_are_written(tmp_path):
    write_search(tmp_path, spread=0.05, tracks=3)
    comparison = compare(tmp_path, read_results(tmp_path), PLAN)
    assert comparison.tracks.scores.shape == (4, 2, 3)
    assert comparison.tracks.scores[1, 0] == pytest.approx([2.05, 3.05, 4.05])
    assert comparison.tracks.curves[1][0][0] == pytest.approx([1.05, 2.05, 3.05])
    write_report(tmp_path, PLAN)
    with (tmp_path / "tracks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24 and rows[3]["seed"] == "1" and rows[3]["track"] == "track 0"
    with (tmp_path / "pairs.csv").open(newline="") as file:
        pairs = list(csv.DictReader(file))
    assert len(pairs) == 6 and pairs[0]["first"] == "model.bands=v1 model.hidden=16"


def test_a_search_is_compared_at_a_part_of_its_budget(tmp_path, capsys):
    write_search(tmp_path, spread=0.05, tracks=3)
    outcome = read_outcome(tmp_path / "trial-003")  # it was stopped half-way
    write_outcome(tmp_path / "trial-003", Outcome(STOPPED, {**outcome.metrics, "budget_used": 0.5, "steps": 2}))
    (tmp_path / "trial-003" / "metrics.csv").write_text("step,minutes,cpu_minutes,valid_sdr\n2,0.2,0.1,4.5\n")
    table = read_results(tmp_path, at=2)
    assert set(table.status) == {"finished"} and list(table.steps) == [2] * 8
    assert list(table.sdr) == pytest.approx([-0.05, 2.05, 0.95, 4.5, 0.05, 1.95, 1.05, 0.45])
    assert list(read_results(tmp_path, at=4).status).count("stopped early") == 1
    assert main(["report", str(tmp_path), "--at", "2"]) == 0
    text = (tmp_path / "summary-at-2.md").read_text()
    assert "**At steps=2 of steps=4.**" in text and "4 cells, 2 seeds" in text
    assert "`model.bands=v1 model.hidden=16`, against the others" in text
    capsys.readouterr()
    for given, message in (
        (["5"], "--at: expected an amount above 0 and at most 4, got 5"),
        (["2", "--log", "mlflow"], "--log: expected no --at"),
    ):
        assert main(["report", str(tmp_path), "--at", *given]) == 2
        assert message in capsys.readouterr().err


def test_at_a_part_of_the_budget_cells_are_compared_by_the_seeds_that_all_have(tmp_path):
    """As after ``--extend --seeds`` of halving, which trains new seeds for the cells of the last rung only."""
    write_search(tmp_path, spread=0.05, tracks=3)
    for name in ("trial-004", "trial-005", "trial-006"):
        stop_at_a_quarter(tmp_path / name)
    text = write_summary_at(tmp_path, PLAN, 2).read_text()
    assert "Compared by seed 0 only: not all cells that came so far have the others." in text
    assert "4 cells, 1 seed, 3 validation tracks" in text and "Incomplete" not in text and "did not reach" not in text
    stop_at_a_quarter(tmp_path / "trial-003")  # now no seed is left that all cells have
    text = write_summary_at(tmp_path, PLAN, 2).read_text()
    assert "Compared by seed" not in text and "No cell is complete" in text and "did not reach 2" in text


@pytest.mark.parametrize("budget", [Budget("steps", 4), Budget("minutes", 0.2), Budget("flops", 4e9)])
def test_a_trial_that_did_not_come_so_far_is_not_compared_there(tmp_path, budget):
    """One has no outcome, because it runs or was killed; one had a smaller budget before the search was extended."""
    write_search(tmp_path, spread=0.05)
    replace(PLAN, budget=budget).save(tmp_path)
    for name in ("trial-000", "trial-001"):
        (tmp_path / name / "metrics.csv").write_text("step,minutes,cpu_minutes,valid_sdr\n2,0.2,0.1,9\n")
    outcome = read_outcome(tmp_path / "trial-001")
    (tmp_path / "trial-000" / "outcome.json").unlink()
    write_outcome(tmp_path / "trial-001", replace(outcome, until=budget.amount / 2))
    whole = read_results(tmp_path, at=budget.amount)
    assert list(whole.status) == ["stopped early"] * 2 + ["finished"] * 6
    half = read_results(tmp_path, at=budget.amount / 2)
    unknown = "stopped early" if budget.kind == "flops" else "finished"  # its outcome would tell
    assert list(half.status) == [unknown, *["finished"] * 7]
