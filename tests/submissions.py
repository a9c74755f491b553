"""Submissions for the tests: a light one, whose class needs only numpy, and a small Bandsplit repository."""

import json
import shutil
from pathlib import Path

import numpy as np
import torch

from models.bsrnn import BSRNN, BSRNNConfig
from models.checkpoints.checkpoint import save_checkpoint
from models.presets.preset import Preset
from models.presets.training import DataConfig, TrainConfig
from models.running.repository import ROOT
from models.signal.chunking import SeparateConfig
from models.tracks import Track
from submission.rules.challenge import INSTRUMENTS

INFO = {"training_data": "97 tracks, 35.4 minutes, from musdb18-7, music-delta", "began_with": "nothing"}
LIGHT_CLASS = '''"""The class of a light submission."""

import numpy as np

INSTRUMENTS = ["bass", "drums", "other", "vocals"]


class MySeparationModel:
    ensemble = ("toy",)
    fallbacks = ()

    def __init__(self):
        pass  # here

    @property
    def instruments(self):
        return INSTRUMENTS

    def raise_aicrowd_error(self, msg):
        raise NameError(msg)

    def separate_music_file(self, mixed_sound_array, sample_rate):
        stem = np.nan_to_num(mixed_sound_array / 4).astype(np.float32)
        stems, rates = {name: stem for name in INSTRUMENTS}, dict.fromkeys(INSTRUMENTS, sample_rate)
        return stems, rates
'''
ENTRY = {
    "challenge_id": "music-demixing-track-mdx-23",
    "authors": ["someone"],
    "labelnoise": False,
    "bleeding": False,
    "external_dataset_used": True,
    "gpu": False,
    "description": "a quarter of the mixture",
}


def write_checkpoint(folder: Path, stems=("vocals", "drums", "bass", "other"), info=None, seed: int = 0) -> None:
    """A checkpoint with random weights, small and fast."""
    torch.manual_seed(seed)
    shape = BSRNNConfig(
        stems=stems, n_fft=1024, hop=512, bands="1k:4k,4k:16k", features=8, hidden=8, layers=1, mask_factor=1
    )
    preset = Preset("bsrnn", shape, DataConfig(sources=stems), TrainConfig(), SeparateConfig(3.0, 0.1, batch=1))
    save_checkpoint(folder, BSRNN(shape).state_dict(), preset, info or INFO, "# toy\n")


def write_light_submission(folder: Path) -> Path:
    """Write a correct submission in the kit's layout."""
    shutil.copytree(ROOT / "submission/package/kit/my_submission", folder / "my_submission")
    (folder / "my_submission/user_config.py").write_text(LIGHT_CLASS)
    (folder / "aicrowd.json").write_text(json.dumps(ENTRY))
    (folder / "apt.txt").write_text("ffmpeg\n")
    (folder / "requirements.txt").write_text("numpy # Don't remove\nsoundfile # Don't remove\n")
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs diff=lfs merge=lfs -text\n")
    (folder / "Dockerfile").write_text(
        "FROM ubuntu:24.04\nRUN useradd --uid 1001 aicrowd\nCOPY apt.txt requirements.txt /tmp/\nCOPY . /home/aicrowd\n"
    )
    write_checkpoint(folder / "checkpoints/toy")
    return folder


def write_knowing_submission(folder: Path, track: Track) -> Path:
    """Write a light submission that separates one track well, also if it is repeated: it contains the stems."""
    write_light_submission(folder)
    np.save(folder / "my_submission/known.npy", np.stack([track.read_stem(name).T for name in INSTRUMENTS]))
    edit(
        folder / "my_submission/user_config.py",
        "stems, rates = {name: stem for name in INSTRUMENTS}, ",
        """known = np.load(__file__.replace("user_config.py", "known.npy"))
        parts = known[:, np.arange(len(stem)) % known.shape[1]]
        stems = {name: 0.8 * part + 0.2 * stem for name, part in zip(INSTRUMENTS, parts)}
        rates = """,
    )
    return folder


def write_source(folder: Path) -> Path:
    """Write the parts of a Bandsplit repository that packages need, with random checkpoints `toy` and `toy-2`."""
    for name in ("models", "submission"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("aicrowd.json", "apt.txt", "Dockerfile", "LICENSE"):
        shutil.copyfile(ROOT / name, folder / name)
    write_checkpoint(folder / "checkpoints/toy")
    write_checkpoint(folder / "checkpoints/toy-2", seed=1)
    edit(folder / "submission/package/kit/my_submission/user_config.py", '("small",)', '("toy",)')
    edit(folder / "submission/package/kit/my_submission/user_config.py", '("tiny",)', '("toy-2",)')
    return folder


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text in a file; the text must exist."""
    text = path.read_text()
    assert old in text, f"{old!r} is not in {path}"
    path.write_text(text.replace(old, new))
