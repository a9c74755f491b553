"""Scores and separators of known answers for the tests of cleaning."""

import json
from pathlib import Path

import numpy as np

from models.cleaning.scores import StemScore

STEMS = ("vocals", "drums", "bass", "other")


def score(track: str, stem: str, *shares: tuple[float, float, float, float], energy: float = 1.0) -> StemScore:
    """A stem whose stretches have equal energy, and are heard as these shares of the four stems."""
    return StemScore(track, stem, STEMS, tuple(energy for _ in shares), shares)


class Listener:
    """Tells the stems of ``tone_stems`` by their frequencies; a separator."""

    name = "listener@00000000"
    stems = STEMS
    sample_rate = 44100

    def __init__(self) -> None:
        self.calls = 0

    def separate(self, mixture: np.ndarray, sample_rate: int | None = None) -> dict[str, np.ndarray]:
        """Split at 500, 1500 and 3000 Hz: bass, drums, vocals, other."""
        self.calls += 1
        spectrum = np.fft.rfft(mixture)
        frequencies_hz = np.fft.rfftfreq(mixture.shape[-1], 1 / (sample_rate or self.sample_rate))
        bands = {"bass": (0, 500), "drums": (500, 1500), "vocals": (1500, 3000), "other": (3000, 1e9)}
        return {
            stem: np.fft.irfft(
                spectrum * ((frequencies_hz >= bands[stem][0]) & (frequencies_hz < bands[stem][1])), mixture.shape[-1]
            ).astype(np.float32)
            for stem in STEMS
        }


def tone_stems(seed: int, duration_s: float = 2.0) -> dict[str, np.ndarray]:
    """Stems [2, T] that are tones in the bands of ``Listener``."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(duration_s * 44100)) / 44100
    ranges = {"vocals": (1700, 2800), "drums": (600, 1300), "bass": (80, 400), "other": (3500, 9000)}
    return {
        stem: np.tile(0.2 * np.sin(2 * np.pi * rng.uniform(low, high) * time_s), (2, 1)).astype(np.float32)
        for stem, (low, high) in ranges.items()
    }


def write_judge(folder: Path, training_data: str = "9 tracks, 1 minutes, from label-noise of songs") -> Path:
    """A checkpoint's folder whose configuration tells its training data; it has no weights."""
    from conftest import TINY
    from models.presets.settings import to_mapping

    folder.mkdir(parents=True)
    info = {"training_data": training_data, "began_with": "nothing"}
    (folder / "config.json").write_text(json.dumps({"preset": to_mapping(TINY), "info": info}))
    return folder
