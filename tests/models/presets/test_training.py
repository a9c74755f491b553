"""Training settings: every value out of range is an error that names the flag."""

import pytest

from models.presets.training import DataConfig, TrainConfig


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (DataConfig, "crop_s", 0.0),
        (DataConfig, "channels", 3),
        (DataConfig, "gain_db", -1.0),
        (DataConfig, "drop", 1.0),
        (DataConfig, "sources", ("vocals", "vocals")),
        (DataConfig, "sources", ()),
        (DataConfig, "sources", ("mixture", "vocals")),
        (DataConfig, "remix", 1.1),
        (DataConfig, "speed_semitones", 12.5),
        (DataConfig, "speed_semitones", -1.0),
        (DataConfig, "rendered", -0.1),
        (DataConfig, "crops", "loud"),
        (DataConfig, "reverse", -0.5),
        (DataConfig, "mid_side", float("nan")),
        (TrainConfig, "batch", 0),
        (TrainConfig, "steps", 0),
        (TrainConfig, "minutes", -1.0),
        (TrainConfig, "loss", "mse"),
        (TrainConfig, "optimizer", "sgd"),
        (TrainConfig, "lr", 0.0),
        (TrainConfig, "lr", float("nan")),
        (TrainConfig, "warmup_steps", -1),
        (TrainConfig, "schedule", "cosine"),
        (TrainConfig, "decay_steps", 0),
        (TrainConfig, "clip", 0.0),
        (TrainConfig, "ema", 1.0),
        (TrainConfig, "precision", "float8"),
        (TrainConfig, "validate_every", 0),
        (TrainConfig, "patience", -1),
        (TrainConfig, "seed", -1),
    ],
)
def test_out_of_range(cls, name, value):
    section = "data" if cls is DataConfig else "train"
    with pytest.raises(ValueError, match=rf"^{section}\.{name}: expected .*got"):
        cls(**{name: value})


@pytest.mark.parametrize("stems", [(), ("guitar",), ("drums", "guitar")])
def test_rendered_stems_are_sources(stems):
    with pytest.raises(ValueError, match=r"^data\.rendered_stems: expected some of vocals, drums, bass, other, got"):
        DataConfig(rendered=0.1, rendered_stems=stems)
    DataConfig(rendered_stems=stems)  # of no consequence
