"""benchmark.runs.measure: the scores of a track, and the estimates that are refused."""

import math

import numpy as np
import pytest

from benchmark.runs.measure import measure
from benchmark.systems.bounds import IdealRatioMask, Mixture, WienerFilter
from benchmark_fakes import SETTINGS, Fake, damage
from models.metrics import csdr, frame_sdr, global_sdr, si_sdr
from models.tracks import STEMS, open_tracks

pytestmark = pytest.mark.usefixtures("short_filters")


@pytest.fixture
def tracks(hq_root):
    return open_tracks(hq_root, "all")


def test_scores_are_those_of_the_metrics(tracks):
    track = tracks[0]
    result = measure(Fake(), track, "Fake", SETTINGS)
    references = np.stack(list(track.read_stems().values()))
    estimates = np.stack([track.read_mixture() * np.float32(0.5)] * 4)
    scores = result["scores"]
    frames = frame_sdr(references, estimates, 44100)
    four = scores["together"][0]
    assert four["num_frames"] == 3 and four["nan_frames"] == 0
    for index, stem in enumerate(STEMS):
        assert scores["sdr"][stem] == global_sdr(references, estimates)[index]
        assert four["csdr"][stem] == csdr(frames)[index]
        assert scores["si_sdr"][stem] == si_sdr(references, estimates)[index]
        assert four["frames"]["SDR"][stem] == frames[index].tolist()
    assert result["duration_s"] == 3.0 and result["separate_s"] > 0 and result["score_s"] > 0
    assert result["separate_cpu_s"] > 0
    assert 2**20 < result["peak_memory_bytes"] < 2**40


def test_the_oracle_knows_the_stems(tracks):
    scores = measure(IdealRatioMask(), tracks[0], "oracle", SETTINGS)["scores"]
    mixture = measure(Mixture(), tracks[0], "mixture", SETTINGS)["scores"]
    assert all(scores["sdr"][stem] > mixture["sdr"][stem] + 5 for stem in STEMS)


def test_a_system_of_some_stems_is_scored_on_those(tracks):
    scores = measure(Fake(("vocals", "piano")), tracks[0], "Fake", SETTINGS)["scores"]
    assert scores["stems"] == ["vocals"] and set(scores["sdr"]) == {"vocals"}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("nan", "Fake: expected finite samples, got NaN or infinity in bass"),
        ("length", r"Fake: expected bass of shape \(2, 132300\), got \(2, 132299\)"),
    ],
)
def test_a_wrong_estimate_is_refused(tracks, kind, reason):
    with pytest.raises(ValueError, match=reason):
        measure(Fake(change=damage(kind)), tracks[0], "Fake", SETTINGS)


@pytest.mark.parametrize("num_samples", [1, 44_100, 70_000])
@pytest.mark.parametrize("silent", [(), ("bass",), STEMS])
def test_short_and_silent_tracks_are_scored(tmp_path, num_samples, silent):
    from conftest import write_track

    noise = np.random.default_rng(0).normal(scale=0.1, size=(4, 2, num_samples)).astype(np.float32)
    stems = {stem: noise[index] * (stem not in silent) for index, stem in enumerate(STEMS)}
    write_track(tmp_path / "song", stems, with_mixture=False)
    (track,) = open_tracks(tmp_path, "test")
    for system in (Fake(), IdealRatioMask(), WienerFilter()):
        scores = measure(system, track, "Fake", SETTINGS)["scores"]
        assert all(math.isfinite(value) for value in scores["sdr"].values())
        four = scores["together"][0]
        assert four["num_frames"] == 1 and four["nan_frames"] == bool(silent)
        assert all(math.isnan(four["csdr"][stem]) == bool(silent) for stem in STEMS)
