"""Damaged and malicious checkpoints: each is refused in one line, and loading executes nothing."""

import json
import pickle
import resource
import tracemalloc
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.checkpoints.checkpoint import CONFIG, WEIGHTS, load_checkpoint, save_checkpoint
from models.presets.preset import RETIRED
from small_checkpoint import INFO, PRESET, error_of, make_weights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "tiny", make_weights(), PRESET, INFO, "# Tiny\n")
    return tmp_path / "tiny"


def test_lfs_pointer(folder):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4096\n"
    (folder / WEIGHTS).write_text(pointer)
    assert error_of(folder).endswith("is a git-LFS pointer, not weights; run `git lfs pull`")


@pytest.mark.parametrize("size", [0, 1, 7, 8, 100, -1, -100])
def test_truncated_weights(folder, size):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:size])
    assert "not a safetensors file, or cut short" in error_of(folder)


class Attack:
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
        write({"weight": Attack(marker)}, file)
    error_of(folder)
    assert not marker.exists()
    with (folder / name).open("rb") as file:  # the attack works with pickle itself
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
    assert grown_kib < 64 * 1024 and python_bytes < 64 * 2**20  # modules without weights need a little memory


def test_a_folder_of_before_a_setting_was_removed_loads_if_it_had_the_default(folder):
    identity = load_checkpoint(folder).identity
    for setting, default in RETIRED.items():
        section, name = setting.split(".")
        change(folder, section, **{name: default})
    assert load_checkpoint(folder).identity == identity
    change(folder, "model", mask_layers=2)
    message = error_of(folder)
    assert message.startswith(f"{folder / CONFIG}: not a checkpoint's configuration") and "\n" not in message
    assert "model.mask_layers was removed: expected its default 1 or no such line, got 2" in message


def test_deeply_nested_configuration(folder):
    (folder / CONFIG).write_text('{"preset": ' + "[" * 100_000 + "]" * 100_000 + ', "info": {}}')
    assert "not a checkpoint's configuration (RecursionError" in error_of(folder)


def test_a_configuration_of_a_gigabyte_is_not_read(folder):
    with (folder / CONFIG).open("wb") as file:
        file.truncate(2**30)
    assert "not a checkpoint's configuration (ValueError: expected at most" in error_of(folder)


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
