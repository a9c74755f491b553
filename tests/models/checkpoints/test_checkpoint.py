"""Checkpoints: what is saved is loaded, damage is named in one line, and loading executes nothing."""

import hashlib
import json
import pickle
import re
import resource
import tracemalloc
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.bsrnn import BSRNNConfig
from models.checkpoints import checkpoint
from models.checkpoints.checkpoint import (
    CONFIG,
    WEIGHTS,
    find_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "tiny", make_weights(), PRESET, INFO, "# Tiny\n")
    return tmp_path / "tiny"


def error_of(folder: Path, kind: type[Exception] = ValueError) -> str:
    """The message with which loading fails, one line."""
    with pytest.raises(kind) as caught:
        load_checkpoint(folder)
    message = str(caught.value)
    assert "\n" not in message and str(folder) in message
    return message


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


def test_lfs_pointer(folder):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4096\n"
    (folder / WEIGHTS).write_text(pointer)
    assert error_of(folder).endswith("is a git-LFS pointer, not weights; run `git lfs pull`")


@pytest.mark.parametrize("size", [0, 1, 7, 8, 100, -1, -100])
def test_truncated_weights(folder, size):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:size])
    assert "not a safetensors file, or cut short" in error_of(folder)


class Trap:
    """Unpickling this writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.write_text, (self.path, "executed"))


@pytest.mark.parametrize("write", [pickle.dump, torch.save], ids=["pickle", "torch"])
@pytest.mark.parametrize("name", [WEIGHTS, CONFIG])
def test_a_pickle_is_refused_and_not_executed(folder, tmp_path, write, name):
    marker = tmp_path / "executed"
    with (folder / name).open("wb") as file:
        write({"weight": Trap(marker)}, file)
    error_of(folder)
    assert not marker.exists()
    with (folder / name).open("rb") as file:  # the trap is real
        pickle.load(file) if write is pickle.dump else torch.load(file, weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        '{"info": {}}',
        '{"preset": {}}',
        '{"preset": [], "info": {}}',
        '{"preset": null, "info": {}}',
        '{"preset": {"architecture": "bsrnn"}, "info": {}}',
        '{"preset": {"architecture": "unheard"}, "info": {}}',
        '{"preset": {"architecture": []}, "info": {}}',
        "\udcff",
    ],
)
def test_wrong_configurations(folder, content):
    (folder / CONFIG).write_bytes(content.encode("utf-8", "surrogateescape"))
    assert error_of(folder).startswith(f"{folder / CONFIG}: not a checkpoint's configuration (")


@pytest.mark.parametrize("info", ["text", 3, [1], None])
def test_wrong_info(folder, info):
    values = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**values, "info": info}))
    assert error_of(folder).startswith(str(folder / CONFIG))


def test_a_setting_of_another_version_is_named(folder):
    values = json.loads((folder / CONFIG).read_text())
    values["preset"]["model"]["hiden"] = 3
    (folder / CONFIG).write_text(json.dumps(values))
    assert "unknown setting 'model.hiden'; did you mean 'model.hidden'?" in error_of(folder)


def test_mismatched_shapes(folder):
    values = json.loads((folder / CONFIG).read_text())
    values["preset"]["model"]["features"] = 8
    (folder / CONFIG).write_text(json.dumps(values))
    assert f"{WEIGHTS} and {CONFIG} do not belong together" in error_of(folder)


def change(folder: Path, section: str, **settings: object) -> None:
    values = json.loads((folder / CONFIG).read_text())
    values["preset"][section].update(settings)
    (folder / CONFIG).write_text(json.dumps(values))


@pytest.mark.parametrize(
    "name", ["../../evil", "/tmp/evil", "a/b", "a\\b", "..", ".hidden", "", " ", "mixture", "new\nline", "x" * 300]
)
def test_names_of_stems_cannot_leave_the_folder(folder, name):
    change(folder, "model", stems=["vocals", name])
    assert "model.stems: expected" in (message := error_of(folder)) and len(message) < 500


@pytest.mark.parametrize(
    ("section", "setting", "value"),
    [
        ("model", "features", 10**9),
        ("model", "features", 4096),
        ("model", "hidden", 4096),
        ("model", "layers", 10**9),
        ("model", "layers", 200),
        ("model", "n_fft", 2**40),
        ("model", "n_fft", 2**17),
        ("model", "mask_factor", 10**9),
        ("model", "bands", "0.0001:20k"),
        ("model", "stems", [f"stem {index}" for index in range(10_000)]),
        ("separate", "segment_s", 1e300),
        ("separate", "batch", 10**12),
        ("separate", "shifts", 10**12),
    ],
)
def test_nothing_large_is_made_before_it_is_compared_with_the_weights(folder, section, setting, value):
    change(folder, section, **{setting: value})
    tracemalloc.start()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = error_of(folder)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    python_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert setting in message or "do not belong together" in message
    assert len(message) < 500
    assert grown_kib < 64 * 1024 and python_bytes < 64 * 2**20  # modules without weights take some


def test_deeply_nested_configuration(folder):
    (folder / CONFIG).write_text('{"preset": ' + "[" * 100_000 + "]" * 100_000 + ', "info": {}}')
    assert "not a checkpoint's configuration (RecursionError" in error_of(folder)


def test_a_configuration_of_a_gigabyte_is_not_read(folder):
    with (folder / CONFIG).open("wb") as file:
        file.truncate(2**30)
    assert "not a checkpoint's configuration (ValueError: expected at most" in error_of(folder)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.bfloat16, torch.float64])
def test_other_floating_point_types(folder, dtype):
    weights = load_file(folder / WEIGHTS)
    save_file({name: value.to(dtype) for name, value in weights.items()}, folder / WEIGHTS)
    loaded = load_checkpoint(folder).network.state_dict()
    assert all(torch.equal(loaded[name], value.to(dtype).float()) for name, value in weights.items())


def test_missing_and_unknown_weights(folder):
    weights = load_file(folder / WEIGHTS)
    first = next(iter(weights))
    save_file({name: value for name, value in weights.items() if name != first}, folder / WEIGHTS)
    assert "do not belong together" in (message := error_of(folder)) and first in message
    save_file({**weights, "surplus": torch.ones(1)}, folder / WEIGHTS)
    assert "do not belong together" in (message := error_of(folder)) and "surplus" in message


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_stored_weights_that_are_not_finite(folder, value):
    weights = load_file(folder / WEIGHTS)
    weights["masks.0.norm.bias"][0] = value
    save_file(weights, folder / WEIGHTS)
    assert "holds values that are not finite; train or download it again" in error_of(folder)


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
