"""What a run keeps on disk: everything that it takes to go on, whole, and nothing written over."""

import csv
import json
import os
import sys
import threading

import numpy as np
import pytest
import torch

from conftest import SAMPLE_RATE, STEMS, TINY, with_train
from models.checkpoints.checkpoint import load_checkpoint
from models.presets.preset import RETIRED, load_preset
from models.running import atomic
from models.training.data.packs import prepare_pack
from models.training.loop import train
from models.training.record import run_folder
from models.training.record.saved_state import checksum, load_state, save_state


@pytest.fixture
def pack(hq_root, tmp_path):
    return prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)


def metrics(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_run_says_how_it_was_made(pack, tmp_path):
    train(with_train(steps=10, validate_every=5), pack, tmp_path / "run")
    folder = tmp_path / "run"
    assert load_preset(str(folder / "config.yaml")) == with_train(steps=10, validate_every=5)
    (call,) = [json.loads(line) for line in (folder / "calls.jsonl").read_text().splitlines()]
    assert set(call) == {"git_commit", "arguments"}
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list((folder / "tensorboard").glob("events.*"))
    assert load_checkpoint(folder / "last").info["steps"] == 10
    row = metrics(folder)[-1]
    assert float(row["examples_per_s"]) > 0 and 0 <= float(row["idle_share"]) < 1 and float(row["cpu_minutes"]) > 0


def test_curves_are_plotted_at_the_end_and_at_most_twice_a_minute(pack, tmp_path, monkeypatch):
    plots = []
    monkeypatch.setattr(run_folder, "plot_curves", lambda rows, path: plots.append(len(rows)) or path.write_bytes(b""))
    train(with_train(steps=10, validate_every=2), pack, tmp_path / "often")
    assert plots == [5]
    monkeypatch.setattr(run_folder, "PLOT_EVERY_S", -1.0)
    train(with_train(steps=10, validate_every=5), pack, tmp_path / "always")
    assert plots == [5, 1, 2]


def test_without_its_plotting_packages_a_run_says_so_once(pack, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert train(with_train(steps=10, validate_every=5), pack, tmp_path / "run").finished
    assert capsys.readouterr().err.count("no TensorBoard log or plot, tensorboardX is not installed") == 1


def test_a_full_disk_keeps_the_previous_state(pack, tmp_path, monkeypatch):
    train(with_train(steps=3), pack, tmp_path / "run")
    kept = (tmp_path / "run" / "last.pt").read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        train(with_train(steps=4), pack, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "last.pt").read_bytes() == kept
    assert not list((tmp_path / "run").rglob("*.part"))


def test_runs_are_not_overwritten_or_mixed(pack, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        train(TINY, pack, tmp_path / "run", resume=True)
    train(with_train(steps=1), pack, tmp_path / "run")
    with pytest.raises(ValueError, match="holds a run already"):
        train(with_train(steps=1), pack, tmp_path / "run")
    with pytest.raises(ValueError, match="train.lr was 0.01 .* and is 0.02 now"):
        train(with_train(lr=0.02), pack, tmp_path / "run", resume=True)
    for content in (b"", b"not a state", (tmp_path / "run" / "last.pt").read_bytes()[:2000]):
        (tmp_path / "run" / "last.pt").write_bytes(content)
        with pytest.raises(ValueError, match="not a training state, or damaged"):
            train(TINY, pack, tmp_path / "run", resume=True)


def test_a_state_cannot_execute_code(pack, tmp_path):
    import pickle

    (tmp_path / "run").mkdir()
    marker = tmp_path / "executed"
    payload = type("Payload", (), {"__reduce__": lambda self: (os.mkdir, (str(marker),))})()
    (tmp_path / "run" / "last.pt").write_bytes(pickle.dumps(payload))
    with pytest.raises(ValueError, match="not a training state"):
        train(TINY, pack, tmp_path / "run", resume=True)
    assert not marker.exists()


def flip(path, count, seed):
    """Flip a bit in so many bytes of a file."""
    content = bytearray(path.read_bytes())
    for position in np.random.default_rng(seed).choice(len(content), count, replace=False):
        content[position] ^= 1 << int(position) % 8
    path.write_bytes(content)


def test_a_damaged_state_is_refused_in_one_line_and_nothing_is_lost(pack, tmp_path):
    folder = tmp_path / "run"
    train(with_train(steps=2), pack, folder)
    whole = (folder / "last.pt").read_bytes()
    others = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "last.pt"}
    for seed in range(12):
        (folder / "last.pt").write_bytes(whole)
        flip(folder / "last.pt", 20, seed)
        with pytest.raises(ValueError, match="last.pt: not a training state, or damaged .*--init .*run/last") as error:
            train(with_train(steps=3), pack, folder, resume=True)
        assert "\n" not in str(error.value)
    assert others == {path: path.read_bytes() for path in others}
    (folder / "last.pt").write_bytes(whole)
    assert train(with_train(steps=3), pack, folder, resume=True).steps == 3


def test_no_byte_of_a_state_changes_unnoticed(tmp_path):
    """Every fifth byte in turn: it is noticed, or what is loaded is what was saved (padding, dates)."""
    state = {"rows": [{"step": 3, "loss": 0.5}], "network": {"w": torch.arange(3.0)}, "name": "a run"}
    path = tmp_path / "last.pt"
    save_state(path, state)
    whole = path.read_bytes()
    expected, noticed = checksum(state), 0
    for position in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            assert checksum(load_state(path, set(state))) == expected, position
        except ValueError as error:
            noticed += "damaged" in str(error)
    assert noticed > 40


def test_a_checksum_sees_types_shapes_order_and_values():
    values = [
        {"a": torch.zeros(2, 3)},
        {"a": torch.zeros(3, 2)},
        {"a": torch.zeros(2, 3, dtype=torch.float64)},
        {"a": torch.zeros(2, 3).index_fill(0, torch.tensor(1), -0.0)},
        {"b": torch.zeros(2, 3)},
        {"a": [1, 2]},
        {"a": [[1], 2]},
        {"a": [1, 2.0]},
        {"a": "[1, 2]"},
        {"a": torch.tensor(0.0)},
        {"a": 1, "b": 2},
        {"b": 2, "a": 1},
    ]
    assert len({checksum(value) for value in values}) == len(values)
    assert checksum({"a": (1, 2)}) == checksum({"a": [1, 2]})  # yaml and torch make one of the other
    assert checksum(torch.arange(6).reshape(2, 3).mT) == checksum(torch.tensor([[0, 3], [1, 4], [2, 5]]))


def test_a_state_that_lacks_a_part_or_does_not_fit_is_named(pack, tmp_path):
    train(with_train(steps=1), pack, tmp_path / "run")
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    del state["checksum"]  # as an earlier version saved it
    torch.save({name: value for name, value in state.items() if name != "average"}, tmp_path / "run" / "last.pt")
    with pytest.raises(ValueError, match="not a training state, or damaged .expected average, network, "):
        train(with_train(steps=2), pack, tmp_path / "run", resume=True)
    state["network"].popitem()
    torch.save(state, tmp_path / "run" / "last.pt")
    with pytest.raises(ValueError, match="run: the saved state does not fit this network .Error.s. in loading"):
        train(with_train(steps=2), pack, tmp_path / "run", resume=True)


def test_each_call_writes_one_tensorboard_file(pack, tmp_path):
    train(with_train(steps=9, validate_every=3), pack, tmp_path / "run")  # saves four times
    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 1
    train(with_train(steps=12, validate_every=3), pack, tmp_path / "run", resume=True)
    files = sorted((tmp_path / "run" / "tensorboard").iterdir())
    assert len(files) == 2
    assert b"valid_sdr" in files[0].read_bytes() and b"valid_sdr" in files[1].read_bytes()
    assert not [thread for thread in threading.enumerate() if "EventLogger" in type(thread).__name__]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": "2"}, "progress.step: expected a whole number of at least 0, got '2'"),
        ({"step": None}, "progress lacks step"),
        ({"epoch": 1}, "progress has epoch, which this version does not know"),
    ],
)
def test_progress_that_is_none_is_refused_in_one_line_and_nothing_is_lost(pack, tmp_path, change, message):
    folder = tmp_path / "run"
    train(with_train(steps=1), pack, folder)
    state = torch.load(folder / "last.pt", weights_only=True)
    del state["checksum"]
    progress = {**state["progress"], **change}
    state["progress"] = {name: value for name, value in progress.items() if value is not None}
    torch.save(state, folder / "last.pt")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ValueError) as error:
        train(with_train(steps=2), pack, folder, resume=True)
    assert str(error.value) == f"{folder}: the saved state cannot be resumed ({message})"
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_state_of_before_settings_were_removed_is_resumed_if_it_had_their_defaults(pack, tmp_path):
    folder = tmp_path / "run"
    train(with_train(steps=1), pack, folder)
    state = torch.load(folder / "last.pt", weights_only=True)
    del state["checksum"]
    for setting, default in RETIRED.items():
        section, name = setting.split(".")
        state["preset"][section][name] = default
    torch.save(state, folder / "last.pt")
    assert train(with_train(steps=2), pack, folder, resume=True).steps == 2
    state["preset"]["data"]["flip_sign"] = 0.5
    torch.save(state, folder / "last.pt")
    with pytest.raises(
        ValueError, match=r"last.pt: holds settings that this version does not have .data.flip_sign was "
    ):
        train(with_train(steps=3), pack, folder, resume=True)
