"""Decisions: the worst of each name; relabelled into free places alone; stretches cut; nothing at worst 0."""

import pytest

from cleaning_scores import score
from models.cleaning.decisions import decide, label_gains, least_shares

PURE = {
    "vocals": (0.97, 0.01, 0.01, 0.01),
    "drums": (0.01, 0.97, 0.01, 0.01),
    "bass": (0.01, 0.01, 0.97, 0.01),
    "other": (0.01, 0.01, 0.01, 0.97),
}


def songs(**changes: tuple) -> list:
    """Ten songs of pure stems; song 0 with other shares for some."""
    clean = [score(f"song {index}", stem, shares) for index in range(1, 10) for stem, shares in PURE.items()]
    return [score("song 0", stem, changes.get(stem, shares)) for stem, shares in PURE.items()] + clean


def of_song_0(decisions):
    return {one.score.stem: one for one in decisions if one.score.track == "song 0"}


def test_exchanged_stems_get_their_names_back():
    decisions = of_song_0(decide(songs(drums=PURE["bass"], bass=PURE["drums"]), 0.1))
    assert {stem: (one.action, one.label) for stem, one in decisions.items()} == {
        "vocals": ("keep", "vocals"),
        "drums": ("relabel", "bass"),
        "bass": ("relabel", "drums"),
        "other": ("keep", "other"),
    }
    assert decisions["drums"].dirt == pytest.approx(0.99) and "sounds like bass (0.970" in decisions["drums"].reason


def test_a_place_that_is_taken_is_not_given_away():
    decisions = of_song_0(decide(songs(drums=PURE["bass"]), 0.1))
    assert decisions["drums"].action == "drop" and decisions["drums"].label == ""
    assert decisions["drums"].reason.endswith("the track has bass already")
    assert decisions["bass"].action == "keep"


def test_of_two_for_one_place_the_purer_wins():
    nearly = (0.0, 0.02, 0.98, 0.0)
    decisions = of_song_0(decide(songs(drums=nearly, vocals=PURE["bass"], bass=PURE["other"]), 0.1))
    assert {stem: one.action for stem, one in decisions.items()} == {
        "vocals": "drop",
        "drums": "relabel",
        "bass": "drop",
        "other": "keep",
    }


def test_a_mixture_is_dropped():
    decisions = of_song_0(decide(songs(drums=(0.0, 0.5, 0.5, 0.0), other=(0.0, 0.5, 0.1, 0.4)), 0.1))
    assert decisions["drums"].action == "drop" and "own share 0.500, below" in decisions["drums"].reason
    assert decisions["other"].action == "drop" and "sounds like drums" in decisions["other"].reason


def test_a_stretch_that_sounds_like_something_else_is_cut():
    scores = [score(f"song {index}", stem, shares) for index in range(9) for stem, shares in PURE.items()]
    scores += [score("song x", "drums", PURE["drums"], PURE["bass"], PURE["drums"])]
    thresholds = least_shares(scores, 0.0)
    assert thresholds["drums"] == pytest.approx(0.65)
    (one,) = (one for one in decide(scores, 0.0) if one.score.track == "song x")
    assert (one.action, one.label, one.cuts) == ("cut", "drums", (1,)) and one.is_found


def test_worst_0_keeps_all_and_equal_stems_are_kept_together():
    assert {one.action for one in decide(songs(drums=PURE["bass"]), 0.0)} == {"keep"}
    assert {one.action for one in decide(songs(), 0.5)} == {"keep"}


def test_silence_and_stems_in_which_nothing_is_heard():
    nothing = (0.0, 0.0, 0.0, 0.0)
    scores = [*songs(drums=nothing), score("song s", "vocals", nothing, energy=0.0)]
    decisions = decide(scores, 0.1)
    assert of_song_0(decisions)["drums"].action == "drop" and of_song_0(decisions)["drums"].dirt == 1.0
    (silent,) = (one for one in decisions if one.score.track == "song s")
    assert (silent.action, silent.label, silent.dirt) == ("silent", "vocals", 0.0) and not silent.is_found


def test_a_model_that_hears_bass_in_all_is_calibrated():
    """It gives vocals a fifth and bass the rest; vocals that are called bass still stand out."""
    voice, low = (0.2, 0.0, 0.8, 0.0), (0.01, 0.0, 0.99, 0.0)
    scores = [
        score(f"song {index}", stem, shares)
        for index in range(9)
        for stem, shares in (("vocals", voice), ("bass", low))
    ]
    scores += [score("song x", "vocals", low), score("song x", "bass", voice)]
    assert label_gains(scores) == {"vocals": 0.2, "bass": 0.99}
    decisions = {(one.score.track, one.score.stem): one for one in decide(scores, 0.1)}
    assert (decisions["song x", "vocals"].action, decisions["song x", "vocals"].label) == ("relabel", "bass")
    assert (decisions["song x", "bass"].action, decisions["song x", "bass"].label) == ("relabel", "vocals")
    assert decisions["song 0", "vocals"].action == decisions["song 0", "bass"].action == "keep"
