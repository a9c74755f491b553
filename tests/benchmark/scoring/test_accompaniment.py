"""benchmark.scoring.accompaniment: every system can be compared with a system of two stems."""

import math
from functools import partial

import numpy as np
import pytest

from benchmark.scoring.accompaniment import PAIR, accompaniment, with_accompaniment
from benchmark.scoring.scores import score, score_all
from models.metrics import csdr, frame_sdr, global_sdr
from models.tracks import STEMS

pytestmark = pytest.mark.usefixtures("short_filters")

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


def stacked(stems, names):
    return np.stack([stems[name] for name in names])


def test_four_stems_are_scored_together_and_vocals_with_accompaniment_too(stems):
    estimates = noisy(stems)
    estimates["drums"][:, :44100] = 0  # a silent frame of the drums is none of the pair's
    scores = score_all(stems, estimates, SCORE)
    assert scores["stems"] == [*STEMS, "accompaniment"]
    four, pair = scores["together"]
    alone = SCORE(stacked(stems, STEMS), stacked(estimates, STEMS), STEMS)
    for name in ("csdr", "isr", "sir", "sar", "si_sar", "num_frames", "nan_frames", "stems"):
        assert four[name] == alone[name]
    for name in ("sdr", "si_sdr"):
        assert {stem: scores[name][stem] for stem in STEMS} == alone[name]
    assert (four["num_frames"], four["nan_frames"]) == (3, 1)
    true, estimated = (np.stack([audio["vocals"], accompaniment(audio)]) for audio in (stems, estimates))
    frames = frame_sdr(true, estimated, 44100)
    assert pair["stems"] == list(PAIR) and pair["nan_frames"] == 0
    assert scores["sdr"]["accompaniment"] == global_sdr(true, estimated)[1]
    assert list(pair["csdr"].values()) == pytest.approx(csdr(frames).tolist())
    assert math.isnan(four["frames"]["SDR"]["vocals"][0]) and math.isfinite(pair["frames"]["SDR"]["vocals"][0])


def test_the_same_audio_scores_the_same_as_two_stems_and_in_the_pair_of_four(stems):
    """The SAR of vocals scored with four stems differs by decibels if a stem leaks, so it has its own column."""
    leak = {stem: audio + np.float32(0.3) * stems["drums"] for stem, audio in stems.items()}
    estimates = noisy(leak)
    two = {"vocals": estimates["vocals"], "accompaniment": accompaniment(estimates)}
    of_two, of_four = score_all(stems, two, SCORE), score_all(stems, estimates, SCORE)
    assert of_two["stems"] == list(PAIR)
    (alone,), (four, pair) = of_two["together"], of_four["together"]
    for name in ("csdr", "isr", "sir", "sar", "si_sar"):
        assert alone[name] == pair[name]
    assert {stem: of_four["sdr"][stem] for stem in PAIR} == of_two["sdr"]
    assert abs(four["sar"]["vocals"] - pair["sar"]["vocals"]) > 0.5
    assert four["csdr"]["vocals"] == pair["csdr"]["vocals"]  # no silent frames: the same


@pytest.mark.parametrize("names", [("vocals",), ("drums", "bass"), ("vocals", "drums")])
def test_fewer_stems_have_no_accompaniment(stems, names):
    estimates = {name: stems[name] * np.float32(0.5) for name in names}
    true = {name: stems[name] for name in names}
    scores = score_all(true, estimates, SCORE)
    alone = SCORE(np.stack([*true.values()]), np.stack([*estimates.values()]), names)
    (group,) = scores["together"]
    assert group | {"sdr": scores["sdr"], "si_sdr": scores["si_sdr"]} == alone and scores["stems"] == list(names)


def test_accompaniment_alone_is_scored(stems):
    scores = score_all(stems, {"accompaniment": accompaniment(stems) * np.float32(0.5)}, SCORE)
    assert scores["stems"] == ["accompaniment"] and scores["sdr"]["accompaniment"] == pytest.approx(6.02, abs=0.01)
    assert [group["stems"] for group in scores["together"]] == [["accompaniment"]]
