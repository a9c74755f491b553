"""The training loop: it learns, resumes exactly, stops cleanly and never loses what it had."""

import csv
import dataclasses
import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
import types

import pytest
import torch

from conftest import SAMPLE_RATE, STEMS, TINY, with_train
from models.checkpoints.checkpoint import load_checkpoint
from models.running.repository import ROOT
from models.training import clock, loop
from models.training.data.packs import prepare_pack
from models.training.loop import train
from models.training.machine import can_bfloat16
from models.training.record import log
from models.training.step import TrainingStep
from models.training.validation import validation_sdr
from models.training.world import World


@pytest.fixture
def pack(hq_root, tmp_path):
    return prepare_pack([hq_root], tmp_path / "pack", STEMS, SAMPLE_RATE)


@pytest.fixture(autouse=True)
def log_every_step(monkeypatch):
    monkeypatch.setattr(clock, "LOG_EVERY", 1)


def metrics(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def losses(folder):
    return {int(row["step"]): float(row["loss"]) for row in metrics(folder)}


def about(expected):
    """Equal but for the last digits: matrix products round differently where a process puts its memory elsewhere."""
    return pytest.approx(expected, rel=1e-4)


def test_the_loss_falls_and_the_best_weights_are_a_checkpoint(pack, tmp_path):
    result = train(with_train(steps=60, validate_every=20), pack, tmp_path / "run")
    rows = metrics(tmp_path / "run")
    assert result.finished and result.steps == 60 and not result.interrupted
    first, last = (sum(float(row["loss"]) for row in part) for part in (rows[:10], rows[-10:]))
    assert last < 0.9 * first
    scores = [float(row["valid_sdr"]) for row in rows if row["valid_sdr"]]
    assert len(scores) == 3 and max(scores) == pytest.approx(result.best_sdr)
    best = load_checkpoint(tmp_path / "run" / "best")
    again = validation_sdr(best.network, pack, TINY.separate, World())
    assert sum(again.values()) / 2 == pytest.approx(result.best_sdr, abs=0.01)  # float16 weights
    assert best.info["steps"] == 20 * (1 + scores.index(max(scores)))
    assert "1 tracks" in best.info["training_data"] and "musdb18hq" in best.info["training_data"]
    assert "vocals" in (tmp_path / "run" / "best" / "README.md").read_text()


@pytest.mark.parametrize("optimizer", [pytest.param("adam", marks=pytest.mark.slow), "muon"])
def test_resume_is_exact(pack, tmp_path, monkeypatch, optimizer):
    preset = with_train(optimizer=optimizer)
    train(preset, pack, tmp_path / "whole")
    calls = []
    original = TrainingStep.take

    def stop_at_seven(self, batch, progress, rate):
        calls.append(progress.step)
        if progress.step == 6 and len(calls) == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch, progress, rate)

    monkeypatch.setattr(TrainingStep, "take", stop_at_seven)
    stopped = train(preset, pack, tmp_path / "parts")
    assert stopped.interrupted and not stopped.finished and stopped.steps == 7
    torch.rand(5)
    result = train(preset, pack, tmp_path / "parts", resume=True)
    assert result.finished and calls == list(range(12))
    assert losses(tmp_path / "parts") == about(losses(tmp_path / "whole"))
    states = [torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "parts")]
    for whole, parts in zip(states[0]["average"].values(), states[1]["average"].values(), strict=True):
        assert torch.allclose(whole, parts, rtol=1e-3, atol=1e-4)


def test_kill_9_loses_no_more_than_since_the_last_save(pack, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "import os, signal, sys; sys.path[:0] = sys.argv[3:]\n"
        "from pathlib import Path\n"
        "from conftest import with_train\n"
        "from models.training import clock, loop\n"
        "from models.training.data.packs import open_pack\n"
        "backward = loop.torch.Tensor.backward\n"
        "steps = []\n"
        "def dying(loss):\n"
        "    steps.append(loss)\n"
        "    if len(steps) == 10: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    clock.SAVE_EVERY_S = 1000.0 if len(steps) >= 7 else 0.0\n"  # the last steps are lost
        "    backward(loss)\n"
        "loop.torch.Tensor.backward, clock.LOG_EVERY = dying, 1\n"
        "clock.SAVE_EVERY_S = 0.0\n"
        "loop.train(with_train(), open_pack(Path(sys.argv[1])), Path(sys.argv[2]))\n"
    )
    command = [sys.executable, str(script), str(pack.folder), str(tmp_path / "run"), str(ROOT), str(ROOT / "tests")]
    assert subprocess.run(command, stderr=subprocess.DEVNULL).returncode == -signal.SIGKILL
    assert len(losses(tmp_path / "run")) == 6
    assert train(TINY, pack, tmp_path / "run", resume=True).finished
    train(TINY, pack, tmp_path / "whole")
    assert losses(tmp_path / "run") == about(losses(tmp_path / "whole"))


@pytest.fixture
def slow_clock(monkeypatch):
    """A clock that goes on by an eighth of a minute whenever it is read, which makes a step a quarter."""
    ticks = itertools.count()
    slow = types.SimpleNamespace(monotonic=lambda: 7.5 * next(ticks), process_time=time.process_time)
    monkeypatch.setattr(clock, "time", slow)
    monkeypatch.setattr(clock, "SAVE_EVERY_S", math.inf)


def test_minutes_are_a_horizon_and_calls_share_it(pack, tmp_path, slow_clock):
    preset = with_train(steps=10_000, minutes=4.0)
    first = train(preset, pack, tmp_path / "run", max_minutes=1)
    assert not first.finished and first.minutes == pytest.approx(1.0) and first.steps == 4
    second = train(preset, pack, tmp_path / "run", max_minutes=10, resume=True)
    assert second.finished and second.minutes == pytest.approx(4.0)
    rates = [float(row["lr"]) for row in metrics(tmp_path / "run")]
    assert rates[:16] == pytest.approx([0.01 * (1 - step / 16) for step in range(16)])
    assert train(preset, pack, tmp_path / "run", resume=True).steps == second.steps
    longer = train(with_train(steps=10_000, minutes=5.0), pack, tmp_path / "run", resume=True)
    assert longer.finished and longer.minutes == pytest.approx(5.0)


def test_max_minutes_alone_is_the_whole_run(pack, tmp_path, slow_clock):
    result = train(with_train(steps=10_000), pack, tmp_path / "run", max_minutes=2)
    assert result.finished and result.minutes == pytest.approx(2.0)


def test_a_finished_call_trains_on_when_given_more_minutes(pack, tmp_path, slow_clock):
    preset = with_train(steps=10_000)
    first = train(preset, pack, tmp_path / "run", max_minutes=1)
    rows = metrics(tmp_path / "run")
    assert first.finished and train(preset, pack, tmp_path / "run", resume=True).steps == first.steps
    assert metrics(tmp_path / "run") == rows
    second = train(preset, pack, tmp_path / "run", max_minutes=1, resume=True)
    assert second.finished and second.steps > first.steps and second.minutes == pytest.approx(2.0)
    assert float(metrics(tmp_path / "run")[len(rows)]["lr"]) == pytest.approx(0.005)  # half-way to the new end


def test_under_an_exponential_schedule_minutes_end_the_call_alone(pack, tmp_path, slow_clock):
    preset = with_train(steps=10_000, schedule="exponential", validate_every=10_000)
    first = train(preset, pack, tmp_path / "run", max_minutes=1)
    assert not first.finished and math.isfinite(first.best_sdr)  # a call never ends without weights to use
    assert train(preset, pack, tmp_path / "run", max_minutes=1, resume=True).steps == 2 * first.steps


def test_patience_ends_a_run_that_no_longer_improves(pack, tmp_path, monkeypatch):
    scores = iter([{"vocals": 1.0}, {"vocals": 3.0}, {"vocals": 2.0}, {"vocals": 2.5}])
    monkeypatch.setattr(loop, "track_sdr", lambda *_: {"a track": next(scores)})
    rows = []
    result = train(
        with_train(steps=100, validate_every=2, patience=2), pack, tmp_path / "run", on_validation=rows.append
    )
    assert result.finished and result.steps == 8 and result.best_sdr == 3.0
    assert [row["valid_sdr"] for row in rows] == [1.0, 3.0, 2.0, 2.5]
    assert load_checkpoint(tmp_path / "run" / "best").info["steps"] == 4


def test_a_state_of_before_a_setting_existed_has_its_default(pack, tmp_path):
    train(with_train(steps=1), pack, tmp_path / "run")
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    del state["preset"]["model"]["mid_side"], state["checksum"]
    torch.save(state, tmp_path / "run" / "last.pt")
    assert train(with_train(steps=2), pack, tmp_path / "run", resume=True).steps == 2


@pytest.mark.slow
def test_a_run_is_validated_at_equal_shares(pack, tmp_path, slow_clock):
    seen = []

    def look(row):
        state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
        seen.append((row["step"], state["progress"]["step"], state["progress"]["minutes"]))

    by_steps = with_train(steps=9, validate_every=1000)
    result = train(by_steps, pack, tmp_path / "run", validations=3, on_validation=look)
    assert [step for step, _, _ in seen] == [saved for _, saved, _ in seen] == [3, 6, 9]
    assert result.minutes == seen[-1][2]
    assert [row["step"] for row in metrics(tmp_path / "run") if row["valid_sdr"]] == ["3", "6", "9"]
    seen.clear()
    by_minutes = with_train(steps=1000, minutes=2.0, validate_every=1000)  # eight steps
    shutil.rmtree(tmp_path / "run")
    train(by_minutes, pack, tmp_path / "run", max_minutes=0.75, validations=2, on_validation=look)
    train(by_minutes, pack, tmp_path / "run", resume=True, validations=2, on_validation=look)
    assert [step for step, _, _ in seen] == [3, 4, 8]  # a call never ends without weights: 3


def test_a_run_that_was_killed_before_its_last_validation_has_it_after_a_resume(pack, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*arguments):
        raise Killed

    preset = with_train(steps=4, validate_every=1000)
    monkeypatch.setattr(clock, "SAVE_EVERY_S", 0.0)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop, "track_sdr", kill)
        train(preset, pack, tmp_path / "run")
    result = train(preset, pack, tmp_path / "run", resume=True)
    assert result.finished and math.isfinite(result.best_sdr)
    assert [row["step"] for row in metrics(tmp_path / "run") if row["valid_sdr"]] == ["4"]


def test_a_spatial_network_learns_one_channel_and_hears_both(pack, tmp_path):
    model = dataclasses.replace(TINY.model, stereo="spatial")
    train(dataclasses.replace(with_train(steps=4, validate_every=4), model=model), pack, tmp_path / "run")
    network = load_checkpoint(tmp_path / "run" / "best").network
    assert all(parameter.any() for parameter in network.spatial.parameters())
    mixture = torch.randn(1, 2, 4000)
    with torch.no_grad():
        assert torch.allclose(network(mixture, 1).waveforms, network(mixture).waveforms[:, :, :1], atol=1e-6)
        one_sided = mixture * torch.tensor([1.0, 0.0])[:, None]
        assert not torch.allclose(network(one_sided, 1).waveforms, network(mixture, 1).waveforms, atol=1e-6)


def test_a_terminal_that_has_gone_does_not_end_a_run(pack, tmp_path, monkeypatch):
    def gone(*_, **__):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(log.tqdm, "write", gone)
    assert train(with_train(steps=5, validate_every=5), pack, tmp_path / "run").finished
    assert metrics(tmp_path / "run")[-1]["valid_sdr"]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_gpu_trains_in_each_precision(pack, tmp_path, precision):
    preset = with_train(steps=60, validate_every=20, precision=precision)
    assert train(preset, pack, tmp_path / "run", world=World(device="cuda"), workers=2).finished
    rows = metrics(tmp_path / "run")
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


@pytest.mark.slow
def test_processor_minutes_are_a_horizon_too(pack, tmp_path):
    result = train(with_train(steps=100_000, minutes=0.05, clock="processor"), pack, tmp_path / "run")
    spent = float(metrics(tmp_path / "run")[-1]["cpu_minutes"])
    assert result.finished and result.steps < 100_000 and 0.02 < spent < 0.2


def test_fine_tuning_begins_where_the_checkpoint_ended(pack, tmp_path):
    train(with_train(steps=60, validate_every=20), pack, tmp_path / "first")
    start = validation_sdr(load_checkpoint(tmp_path / "first" / "best").network, pack, TINY.separate, World())
    rows = []
    tuned = with_train(steps=1, lr=1e-6, validate_every=1)
    train(tuned, pack, tmp_path / "tuned", initial=tmp_path / "first" / "best", on_validation=rows.append)
    assert rows[0]["valid_sdr"] == pytest.approx(sum(start.values()) / 2, abs=0.01)
    first, info = (load_checkpoint(tmp_path / name / "best").info for name in ("first", "tuned"))
    assert first["began_with"] == "nothing" and info["began_with"].startswith("best@")
    assert info["cpu_minutes_in_all"] == pytest.approx(first["cpu_minutes"] + info["cpu_minutes"])
    with pytest.raises(ValueError, match="--init begins a run and --resume goes on"):
        train(tuned, pack, tmp_path / "tuned", initial=tmp_path / "first" / "best", resume=True)


def test_no_validation_tracks_is_an_error_at_once(pack, tmp_path):
    training = dataclasses.replace(pack, tracks=tuple(pack.split("train")))
    with pytest.raises(ValueError, match="expected validation tracks, got 0"):
        train(TINY, training, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_bfloat16_trains_where_it_can(pack, tmp_path):
    result = train(with_train(steps=3, precision="bfloat16", validate_every=3), pack, tmp_path / "run")
    info = json.loads((tmp_path / "run" / "best" / "config.json").read_text())["info"]
    assert result.finished and info["precision"] == ("bfloat16 autocast" if can_bfloat16("cpu") else "float32")
