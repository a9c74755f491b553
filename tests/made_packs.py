"""Packs whose samples are known, and settings to mix them with."""

from pathlib import Path

import numpy as np

from conftest import SAMPLE_RATE, STEMS
from models.presets.training import DataConfig
from models.training.data.packs import Pack, PackedTrack

NOISY = DataConfig(crop_s=0.1, crops="random")
PLAIN = DataConfig(crop_s=0.5, crops="random", channels=1, gain_db=0.0, drop=0.0)


def constant_pack(tmp_path: Path) -> Pack:
    """Two training tracks in which every stem is a constant: 1000, 2000, 3000, 4000, ten times that in track two."""
    tracks = []
    for index, (name, length) in enumerate((("one", 44100), ("two", 4 * 44100))):
        levels = np.array([1000, 2000, 3000, 4000], dtype=np.int16)
        audio = np.ones((4, 2, length), dtype=np.int16) * levels[:, None, None]
        audio[:, 1] += 1 + index  # the right channel differs
        np.save(tmp_path / f"{name}.npy", audio)
        tracks.append(PackedTrack(name, "train", tmp_path / f"{name}.npy", 1e-4 * 10**index, (False,) * 4))
    return Pack(tmp_path, STEMS, SAMPLE_RATE, tuple(tracks), "made")


def ramp_pack(tmp_path: Path) -> Pack:
    """Two tracks whose value in stem s at sample t is 1000 s + t // 100, 500 more on the right, 10 000 in track two."""
    tracks = []
    for index, name in enumerate(("one", "two")):
        audio = np.tile(np.arange(8 * 4410) // 100, (4, 2, 1)) + 1000 * np.arange(4)[:, None, None] + 10_000 * index
        audio[:, 1] += 500
        np.save(tmp_path / f"{name}.npy", audio.astype(np.int16))
        tracks.append(PackedTrack(name, "train", tmp_path / f"{name}.npy", 1.0, (False,) * 4))
    return Pack(tmp_path, STEMS, SAMPLE_RATE, tuple(tracks), "made")
