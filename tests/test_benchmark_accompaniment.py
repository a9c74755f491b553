"""benchmark.accompaniment: every system is comparable with one of two stems."""

import math
from functools import partial

import numpy as np
import pytest

from benchmark.accompaniment import accompaniment, score_all, with_accompaniment
from benchmark.scoring import score
from models.metrics import csdr, frame_sdr, global_sdr
from models.tracks import STEMS

SCORE = partial(score, sample_rate=44100)


def noisy(stems, seed=0):
    rng = np.random.default_rng(seed)
    return {stem: audio + rng.normal(scale=0.02, size=audio.shape).astype(np.float32) for stem, audio in stems.items()}


def test_the_accompaniment_is_the_systems_own_or_the_sum_of_the_rest(stems):
    own = {"vocals": stems["vocals"], "accompaniment": stems["other"]}
    assert accompaniment(own) is stems["other"]
    np.testing.assert_array_equal(accompaniment(stems), stems["drums"] + stems["bass"] + stems["other"])
    assert accompaniment({"vocals": stems["vocals"], "drums": stems["drums"]}) is None
    true = with_accompaniment(stems, ("vocals", "accompaniment"))
    assert list(true) == ["vocals", "accompaniment"]
    np.testing.assert_array_equal(true["accompaniment"], accompaniment(stems))


def test_four_stems_are_scored_together_and_accompaniment_with_vocals(stems):
    estimates = noisy(stems)
    estimates["drums"][:, :44100] = 0  # a silent frame of the drums is none of the pair's
    scores = score_all(stems, estimates, SCORE)
    assert scores["stems"] == [*STEMS, "accompaniment"]
    alone = SCORE(np.stack([stems[s] for s in STEMS]), np.stack([estimates[s] for s in STEMS]), STEMS)
    for name in ("sdr", "si_sdr", "csdr", "isr", "sir", "sar"):
        assert {stem: scores[name][stem] for stem in STEMS} == alone[name]
    assert (scores["num_frames"], scores["nan_frames"]) == (3, 1)
    true, estimated = (np.stack([audio["vocals"], accompaniment(audio)]) for audio in (stems, estimates))
    frames = frame_sdr(true, estimated, 44100)
    assert scores["sdr"]["accompaniment"] == global_sdr(true, estimated)[1]
    assert scores["csdr"]["accompaniment"] == pytest.approx(csdr(frames)[1])
    assert scores["frames"]["SDR"]["accompaniment"] == pytest.approx(frames[1].tolist())
    assert math.isnan(scores["frames"]["SDR"]["vocals"][0]) and math.isfinite(frames[1][0])


def test_a_system_of_two_stems_has_the_same_scores_as_the_pair_of_four(stems):
    estimates = noisy(stems)
    two = {"vocals": estimates["vocals"], "accompaniment": accompaniment(estimates)}
    scores, of_four = score_all(stems, two, SCORE), score_all(stems, estimates, SCORE)
    assert scores["stems"] == ["vocals", "accompaniment"]
    for name in ("sdr", "csdr", "sir"):
        assert scores[name]["accompaniment"] == of_four[name]["accompaniment"]
    assert scores["sdr"]["vocals"] == of_four["sdr"]["vocals"]


@pytest.mark.parametrize("names", [("vocals",), ("drums", "bass"), ("vocals", "drums")])
def test_fewer_stems_have_no_accompaniment(stems, names):
    estimates = {name: stems[name] * np.float32(0.5) for name in names}
    true = {name: stems[name] for name in names}
    assert score_all(true, estimates, SCORE) == SCORE(
        np.stack([*true.values()]), np.stack([*estimates.values()]), names
    )


def test_accompaniment_alone_is_scored(stems):
    scores = score_all(stems, {"accompaniment": accompaniment(stems) * np.float32(0.5)}, SCORE)
    assert scores["stems"] == ["accompaniment"] and scores["sdr"]["accompaniment"] == pytest.approx(6.02, abs=0.01)
