"""Checkpoints: saving, loading, finding and replacing them."""

import hashlib
import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.checkpoints import checkpoint
from models.checkpoints.checkpoint import (
    CONFIG,
    WEIGHTS,
    find_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from small_checkpoint import INFO, PRESET, error_of, make_weights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "tiny", make_weights(), PRESET, INFO, "# Tiny\n")
    return tmp_path / "tiny"


def test_round_trip(folder):
    loaded = load_checkpoint(folder)
    expected = PRESET.build_network().eval()
    expected.load_state_dict({name: value.half().float() for name, value in make_weights().items()})
    assert not loaded.network.training
    assert {parameter.dtype for parameter in loaded.network.parameters()} == {torch.float32}
    assert loaded.preset == PRESET and loaded.info == INFO
    mixture = torch.randn(1, 2, 500, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded.network(mixture).waveforms, expected(mixture).waveforms)


def test_files(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "weights.safetensors"]
    assert (folder / "README.md").read_text() == "# Tiny\n"
    assert json.loads((folder / CONFIG).read_text())["info"] == INFO
    weights = load_file(folder / WEIGHTS)
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert set(weights) == set(make_weights())


def test_whole_numbers_keep_their_type(tmp_path):
    save_checkpoint(tmp_path, {"count": torch.tensor([70000]), "scale": torch.ones(2)}, PRESET, {}, "")
    weights = load_file(tmp_path / WEIGHTS)
    assert weights["count"].tolist() == [70000] and weights["count"].dtype == torch.int64
    assert weights["scale"].dtype == torch.float16


def test_identity_is_the_folder_and_the_weights(folder):
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    assert load_checkpoint(folder).identity == f"tiny@{digest[:8]}"
    save_checkpoint(folder, {name: value + 1 for name, value in make_weights().items()}, PRESET, INFO, "")
    assert load_checkpoint(folder).identity != f"tiny@{digest[:8]}"


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_absent_files_are_named(folder, name):
    (folder / name).unlink()
    message = error_of(folder, FileNotFoundError)
    assert message.endswith(f"expected a checkpoint folder with {WEIGHTS} and {CONFIG}, no {name}")


def test_an_absent_folder_is_named(tmp_path):
    assert f"no {WEIGHTS}" in error_of(tmp_path / "none", FileNotFoundError)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.bfloat16, torch.float64])
def test_other_floating_point_types(folder, dtype):
    weights = load_file(folder / WEIGHTS)
    save_file({name: value.to(dtype) for name, value in weights.items()}, folder / WEIGHTS)
    loaded = load_checkpoint(folder).network.state_dict()
    assert all(torch.equal(loaded[name], value.to(dtype).float()) for name, value in weights.items())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "values that are not finite"),
        (float("-inf"), "values that are not finite"),
        (-1e6, "more than float16 holds (65504)"),
    ],
)
def test_weights_that_a_checkpoint_cannot_hold_leave_the_old_one(folder, value, reason):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    weights = make_weights()
    weights["masks.0.norm.bias"][0] = value
    for target in (folder, folder / "new"):
        message = f"{target}: not saved, weight 'masks.0.norm.bias' has {reason}"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            save_checkpoint(target, weights, PRESET, INFO, "new")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_settings_that_came_later_have_their_defaults_in_an_older_checkpoint(folder):
    values = json.loads((folder / CONFIG).read_text())
    for section, name in (("model", "attention_heads"), ("train", "loss")):
        del values["preset"][section][name]
    (folder / CONFIG).write_text(json.dumps(values))
    assert load_checkpoint(folder).preset == PRESET


def test_information_that_json_cannot_hold_leaves_the_old_checkpoint(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match="JSON"):
        save_checkpoint(folder, make_weights(), PRESET, {"sdr": float("nan")}, "new")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_find_checkpoint(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_FOLDER", tmp_path)
    assert find_checkpoint("tiny") == find_checkpoint(folder) == find_checkpoint(str(folder)) == folder
    save_checkpoint(tmp_path / "huge", make_weights(), PRESET, INFO, "")
    message = f"no checkpoint 'tinny': expected a folder with {WEIGHTS}, or one of: huge, tiny"
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(message)}$"):
        find_checkpoint("tinny")
    monkeypatch.setattr(checkpoint, "CHECKPOINT_FOLDER", tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="or one of: none$"):
        find_checkpoint("tinny")


def test_half_a_checkpoint_is_found_so_that_loading_can_name_the_other_half(folder):
    (folder / CONFIG).unlink()
    assert find_checkpoint(folder) == folder
    assert f"no {CONFIG}" in error_of(folder, FileNotFoundError)
