"""Label noise: each recording wrong with the share's probability; exchanged, mixed, emptied; equal and silent ones."""

import numpy as np
import pytest

from models.corruption.label_noise import apply_labels, draw_labels, total

STEMS = ("vocals", "drums", "bass", "other")


def draw(seed: int, share: float, sounding: tuple[str, ...] = STEMS) -> dict[str, str]:
    return draw_labels(np.random.default_rng(seed), STEMS, sounding, share)


def recordings(**changes: float) -> dict[str, np.ndarray]:
    """Constant stems [2, 5] that are told apart by their values."""
    values = {"vocals": 1.0, "drums": 2.0, "bass": 4.0, "other": 8.0, **changes}
    return {stem: np.full((2, 5), value, dtype=np.float32) for stem, value in values.items()}


def test_the_share_of_wrong_labels_is_what_was_asked_for():
    for share in (0.1, 0.3, 0.7):
        wrong = [label != stem for seed in range(1000) for stem, label in draw(seed, share).items()]
        assert np.mean(wrong) == pytest.approx(share, abs=0.03)


def test_share_0_changes_nothing_and_share_1_leaves_no_label_right():
    for seed in range(50):
        assert all(label == stem for stem, label in draw(seed, 0.0).items())
        labels = draw(seed, 1.0)
        assert all(label != stem for stem, label in labels.items())
        assert sorted(labels.values()) == sorted(STEMS)  # exchanged, none lost


def test_one_wrong_recording_is_mixed_with_what_is_there():
    labels = {"vocals": "drums", "drums": "drums", "bass": "bass", "other": "other"}
    held = apply_labels(recordings(), labels)
    assert held == {"vocals": (), "drums": ("vocals", "drums"), "bass": ("bass",), "other": ("other",)}
    assert total(recordings(), held["drums"], np.zeros((2, 5)))[0, 0] == 3.0


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_the_mixture_is_the_same(share):
    audio = recordings()
    for seed in range(20):
        held = apply_labels(audio, draw(seed, share))
        mixture = sum(total(audio, names, audio["bass"]) for names in held.values())
        assert np.array_equal(mixture, np.full((2, 5), 15.0))


def test_silent_recordings_have_nothing_to_mislabel():
    for seed in range(50):
        labels = draw(seed, 1.0, ("drums", "bass"))
        assert labels["vocals"] == "vocals" and labels["other"] == "other"
        assert (labels["drums"], labels["bass"]) == ("bass", "drums")
    # A song of one recording: it goes into the place of a silent stem.
    labels = draw(0, 1.0, ("drums",))
    audio = recordings(vocals=0.0, bass=0.0, other=0.0)
    held = apply_labels(audio, labels)
    assert held[labels["drums"]] == ("drums",) and held["drums"] == () and labels["drums"] != "drums"


def test_equal_recordings_that_change_places_are_right_as_they_are():
    labels = {"vocals": "drums", "drums": "vocals", "bass": "bass", "other": "other"}
    assert apply_labels(recordings(vocals=2.0), labels)["vocals"] == ("vocals",)
    assert apply_labels(recordings(vocals=2.0), labels)["drums"] == ("drums",)
    assert apply_labels(recordings(), labels)["vocals"] == ("drums",)
