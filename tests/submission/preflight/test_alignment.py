"""Diagnosis of stems: each fault is reported, and weak but correct estimates pass."""

import numpy as np
import pytest

from conftest import SAMPLE_RATE, STEMS, synthetic_stems
from submission.preflight.alignment import diagnose

TRUE = synthetic_stems(seed=0, duration_s=2.0)
MIXTURE = np.sum([TRUE[name] for name in STEMS], axis=0)
# Half of each stem is lost to the others: an SDR of 2 to 5 dB.
WEAK = {name: 0.5 * stem + 0.125 * MIXTURE for name, stem in TRUE.items()}


def delayed(stem: np.ndarray, lag: int) -> np.ndarray:
    return np.roll(np.pad(stem, ((0, 0), (abs(lag), abs(lag)))), lag, axis=-1)[:, abs(lag) : -abs(lag)]


def every(change) -> dict[str, np.ndarray]:
    return {name: change(stem) for name, stem in WEAK.items()}


@pytest.mark.parametrize(
    "estimates",
    [
        TRUE,
        WEAK,
        dict.fromkeys(STEMS, MIXTURE / 4),
        {name: stem + np.random.default_rng(len(name)).normal(0, 0.05, stem.shape) for name, stem in WEAK.items()},
        every(lambda stem: stem + np.random.default_rng(0).normal(0, 0.05, stem.shape)),
        every(lambda stem: 1.3 * stem),
        every(np.zeros_like),
        every(lambda stem: np.full_like(stem, np.nan)),
    ],
    ids=["true", "weak", "quarter", "noisy", "noise in common", "2 dB louder", "silent", "NaN"],
)
def test_correct_estimates_have_no_findings(estimates: dict[str, np.ndarray]):
    assert diagnose(TRUE, estimates, MIXTURE, SAMPLE_RATE) == []


def test_exchanged_stems():
    estimates = WEAK | {"vocals": WEAK["drums"], "drums": WEAK["vocals"]}
    assert diagnose(TRUE, estimates, MIXTURE, SAMPLE_RATE) == [
        "stems are exchanged: vocals is drums, drums is vocals",
    ]
    turned = dict(zip(STEMS, [WEAK[name] for name in (*STEMS[1:], STEMS[0])], strict=True))
    assert "other is vocals" in diagnose(TRUE, turned, MIXTURE, SAMPLE_RATE)[0]


def test_exchanged_channels():
    (found,) = diagnose(TRUE, every(lambda stem: stem[::-1]), MIXTURE, SAMPLE_RATE)
    assert found.startswith("left and right are exchanged: ")
    mono = {name: stem[:1] for name, stem in WEAK.items()}
    assert diagnose({name: stem[:1] for name, stem in TRUE.items()}, mono, MIXTURE[:1], SAMPLE_RATE) == []


@pytest.mark.parametrize("lag", [100, -100, 3, 20000])
def test_lags(lag: int):
    found = diagnose(TRUE, every(lambda stem: delayed(stem, lag)), MIXTURE, SAMPLE_RATE)
    told = f"{abs(lag)} samples too {'late' if lag > 0 else 'early'}: "
    assert any(line.startswith(told) for line in found), found


def test_one_late_stem():
    found = diagnose(TRUE, WEAK | {"drums": delayed(WEAK["drums"], 100)}, MIXTURE, SAMPLE_RATE)
    assert found == ["100 samples too late: drums"]


@pytest.mark.parametrize("gain", [0.5, 2.0, -1.0])
def test_gains(gain: float):
    (found,) = diagnose(TRUE, WEAK | {"vocals": gain * WEAK["vocals"]}, MIXTURE, SAMPLE_RATE)
    assert found == f"stems at another level than in the mixture: vocals x {gain:.2f}"
    (found,) = diagnose(TRUE, every(lambda stem: gain * stem), MIXTURE, SAMPLE_RATE)
    assert found.count(f" x {gain:.2f}") == 4
