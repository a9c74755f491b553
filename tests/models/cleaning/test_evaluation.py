"""Precision, recall and area under the curve, by hand and against pairs that are counted."""

import math

import pytest

from cleaning_scores import score
from models.cleaning.decisions import Decision
from models.cleaning.evaluation import area_under_curve, evaluate, relabelled_right
from models.corruption.truth import StemTruth


def decision(track: str, dirt: float, action: str, label: str = "drums") -> Decision:
    return Decision(score(track, "drums", (0.0, 1 - dirt, dirt, 0.0)), dirt, action, label, "")


def truth(**actions: str) -> dict:
    return {(track, "drums"): StemTruth(track, "drums", action, "bass") for track, action in actions.items()}


def test_the_area_counts_pairs_and_halves_ties():
    assert area_under_curve([0.9, 0.8], [0.1, 0.2]) == 1.0
    assert area_under_curve([0.1], [0.9]) == 0.0
    assert area_under_curve([0.5, 0.9], [0.5, 0.1]) == pytest.approx(3.5 / 4)
    assert math.isnan(area_under_curve([], [0.5]))


def test_all_and_each_kind():
    decisions = [
        decision("a", 0.9, "relabel", "bass"),
        decision("b", 0.3, "keep"),
        decision("c", 0.5, "drop", ""),
        decision("d", 0.1, "keep"),
    ]
    rows = evaluate(decisions, truth(a="exchanged", b="mixed", c="kept", d="kept"))
    assert [(row.kind, row.dirty, row.auc, row.precision, row.recall) for row in rows] == [
        ("all", 2, 0.75, 0.5, 0.5),
        ("exchanged", 1, 1.0, 0.5, 1.0),
        ("mixed", 1, 0.5, 0.0, 0.0),
    ]


def test_stems_that_are_silent_or_unknown_do_not_count():
    decisions = [decision("a", 0.9, "drop", ""), decision("unknown", 0.9, "drop", "")]
    silent = Decision(score("s", "drums", (0.0, 0.0, 0.0, 0.0), energy=0.0), 0.0, "silent", "drums", "")
    (row,) = evaluate([*decisions, silent], truth(a="kept", s="emptied"))
    assert row.dirty == 0 and row.precision == 0.0 and math.isnan(row.auc) and math.isnan(row.recall)


def test_a_relabelled_stem_is_right_if_it_holds_what_it_is_called_now():
    decisions = [decision("a", 0.9, "relabel", "bass"), decision("b", 0.9, "relabel", "vocals")]
    assert relabelled_right(decisions, truth(a="exchanged", b="exchanged")) == (1, 2)
    assert relabelled_right(decisions, {}) == (0, 0)
