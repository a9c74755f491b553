"""A small checkpoint of random weights, and the message with which loading a damaged one fails."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.bsrnn import BSRNNConfig
from models.checkpoints.checkpoint import load_checkpoint
from models.presets.preset import Preset
from models.presets.training import DataConfig, TrainConfig
from models.signal.chunking import SeparateConfig

MODEL = BSRNNConfig(
    stems=("vocals", "bass"), n_fft=64, hop=32, bands="4k:20k", features=4, hidden=4, layers=1, mask_factor=1
)
PRESET = Preset("bsrnn", MODEL, DataConfig(), TrainConfig(), SeparateConfig(1.0, 0.5, 1))
INFO = {"steps": 10, "data": "made up", "validation_sdr": {"vocals": 1.5}}


def make_weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return PRESET.build_network().state_dict()


def error_of(folder: Path, kind: type[Exception] = ValueError) -> str:
    """The message with which loading fails, one line."""
    with pytest.raises(kind) as caught:
        load_checkpoint(folder)
    message = str(caught.value)
    assert "\n" not in message and str(folder) in message
    return message
